"""The process: `python -m controller.supervisor --config FILE --run-dir DIR`.

Lives here: arguments, composition, exit codes.  May not live here: anything that decides or waits.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import sys
from pathlib import Path

from controller.core.refusal import Blame, Refusal
from controller.log import to_stderr
from controller.supervisor.shell import Shell
from controller.supervisor.state import StateDir
from realtime.wire.config import ConfigError, load

EXIT_REFUSED = 2
EXIT_MACHINE = 3
# After the freeze little is left to look at; rare collections keep pauses far below a beat.
GC_THRESHOLDS = (20_000, 20, 50)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="supervisor", description="Supervises the C-arm.")
    parser.add_argument("--config", type=Path, required=True, help="configuration, TOML")
    parser.add_argument("--run-dir", type=Path, required=True, help="where its sockets live")
    return parser.parse_args()


def _refused(refusal: Refusal) -> int:
    print(json.dumps(refusal.body, ensure_ascii=False), file=sys.stderr)
    return EXIT_REFUSED if refusal.blame is Blame.INPUT else EXIT_MACHINE


def main() -> int:
    """Run to the end; returns the exit code."""
    arguments = _arguments()
    faulthandler.enable()
    to_stderr()
    try:
        config = load(arguments.config)
        arguments.run_dir.mkdir(parents=True, exist_ok=True)
        state = StateDir.claim(arguments.run_dir / "state")
    except ConfigError as error:
        return _refused(Refusal("configuration", Blame.INPUT, error.key, str(error.value),
                                error.allowed, error.remedy))  # fmt: skip
    except OSError as error:
        return _refused(Refusal("run_dir", Blame.MACHINE, "run_dir", str(arguments.run_dir),
                                "a writable directory", str(error)))  # fmt: skip
    except Refusal as refusal:
        return _refused(refusal)
    try:
        shell = Shell(config, arguments.run_dir, state)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        return shell.run()
    except Refusal as refusal:
        return _refused(refusal)
    finally:
        state.release()


if __name__ == "__main__":
    sys.exit(main())
