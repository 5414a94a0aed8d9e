"""The process: `python -m realtime --config FILE --run-dir DIR [--inhibited]`.

Lives here: arguments, composition, exit codes.  May not live here: anything that turns.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import faulthandler
import json
import logging
import os
import sys
from pathlib import Path

from realtime.blackbox import BlackBox
from realtime.drivers.port import LineDriver
from realtime.drivers.wire import WireLines
from realtime.executive import Executive
from realtime.inputs import Peer
from realtime.limits import Timing
from realtime.loop import ORDERS, VERDICTS, Loop, black_box_path
from realtime.mailroom import Desk, PlaceTaken
from realtime.permit import Gate
from realtime.preflight import Check, checks, claim, freeze
from realtime.trips import Inhibit
from realtime.wire.config import Config, ConfigError, load
from realtime.wire.messages import Hello

_log = logging.getLogger("realtime")
EXIT_REFUSED = 2
EXIT_MACHINE = 3


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="realtime", description="The beam executive.")
    parser.add_argument("--config", type=Path, required=True, help="configuration, TOML")
    parser.add_argument("--run-dir", type=Path, required=True, help="where its sockets live")
    parser.add_argument("--inhibited", action="store_true", help="PERMIT is held low: first light")
    return parser.parse_args()


def _lines(config: Config, run_dir: Path) -> LineDriver:
    """The line driver; `gpio` comes with real hardware and is refused until then."""
    if config["lines.driver"] != "wire":
        raise ConfigError("lines.driver", config["lines.driver"], "wire")
    return WireLines(config.path("lines.path", run_dir))


def compose(config: Config, run_dir: Path, inhibited: bool, results: list[Check]) -> Loop:
    """Build the loop of a run directory; raises PlaceTaken, OSError, ConfigError."""
    timing = Timing.from_config(config)
    lines = _lines(config, run_dir)
    strict = config["profile"] == "board"
    standing = [Inhibit.PREFLIGHT] if strict and not all(check.ok for check in results) else []
    standing += [Inhibit.INHIBITED] if inhibited else []
    boot_id = int.from_bytes(os.urandom(4), "little") | 1
    desks, box = _places(run_dir, boot_id)
    executive = Executive(timing, boot_id, box.pulse_id_next, box.latched, standing, inhibited)
    gate = Gate(timing.spacing_min_ns, config["beam.width_cap_us"], inhibited)
    return Loop(executive, gate, lines, desks, box)


def _places(run_dir: Path, boot_id: int) -> tuple[dict[Peer, Desk], BlackBox]:
    """Sockets first: only who holds the place may open, and so repair, the black box."""
    hello = Hello("realtime", boot_id, os.getpid(), 0, "")
    desks: dict[Peer, Desk] = {}
    with contextlib.ExitStack() as undo:
        for peer, name in ((Peer.SUPERVISOR, ORDERS), (Peer.IMAGING, VERDICTS)):
            desks[peer] = Desk(peer, run_dir / name, hello)
            undo.callback(desks[peer].close)
        box = BlackBox(black_box_path(run_dir))
        undo.pop_all()
    for desk in desks.values():
        desk.hello = dataclasses.replace(hello, pulse_id_floor=box.pulse_id_next)
    return desks, box


def main() -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    faulthandler.enable()
    arguments = _arguments()
    try:
        config = load(arguments.config)
    except ConfigError as error:
        print(f"realtime: {error}; {error.remedy}", file=sys.stderr)
        return EXIT_REFUSED
    claim()
    results = checks(arguments.run_dir)
    for check in results:
        if not check.ok:
            _log.warning("degraded: %s is %s, wanted %s; %s", *check[:3], check.remedy)
    try:
        loop = compose(config, arguments.run_dir, arguments.inhibited, results)
    except ConfigError as error:
        print(f"realtime: {error}; {error.remedy}", file=sys.stderr)
        return EXIT_REFUSED
    except (PlaceTaken, OSError) as error:
        print(f"realtime: {error}", file=sys.stderr)
        return EXIT_MACHINE
    report = [check._asdict() for check in results]
    (arguments.run_dir / "realtime.json").write_text(json.dumps(report))
    freeze()
    try:
        loop.run()
    except BaseException:
        loop.fail()
        raise
    finally:
        loop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
