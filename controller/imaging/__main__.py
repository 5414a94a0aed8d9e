"""`python -m controller.imaging --config FILE --run-dir DIR`: the imaging process.

Lives here: arguments, exit codes, one clear sentence per refusal.  May not live here: anything that
happens while it runs (`controller.imaging.loop`).
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from controller.imaging.loop import ImagingLoop, stop_on_signals
from realtime.wire.config import ConfigError, load

EXIT_INPUT = 2
EXIT_MACHINE = 3
NICE = -10


def _take_weight() -> None:
    """A frame in hand goes before what can wait; without the privilege it queues like others."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns 0, 2 (input refused) or 3 (the machine lacks it)."""
    parser = argparse.ArgumentParser(prog="imaging", description="The imaging process.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s imaging %(message)s"
    )
    _take_weight()  # before ZeroMQ starts its thread, which inherits it
    try:
        loop = ImagingLoop(load(chosen.config), chosen.run_dir.resolve())
    except ConfigError as error:
        print(f"imaging: {error}; {error.remedy}", file=sys.stderr)
        return EXIT_INPUT
    except (LookupError, OSError) as error:
        print(f"imaging: {error}", file=sys.stderr)
        return EXIT_MACHINE
    stop_on_signals(loop)
    try:
        loop.run()
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
