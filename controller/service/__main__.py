"""The process: `python -m controller.service --config FILE --run-dir DIR`.

Lives here: arguments, priority, signals, exit codes.  May not live here: anything that happens
while it runs (`controller.service.department`).
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import json
import os
import signal
import sys
from pathlib import Path

from controller.core.refusal import Blame, Refusal
from controller.log import to_stderr
from controller.service.department import FOLDER, Department
from controller.service.journal import AuditDamaged
from controller.service.lock import claim
from realtime.wire.config import ConfigError, load

EXIT_INPUT = 2
EXIT_MACHINE = 3
# Behind everything that the beam needs.
NICE = 10


def _refused(refusal: Refusal) -> int:
    print(json.dumps(refusal.body, ensure_ascii=False), file=sys.stderr)
    return EXIT_INPUT if refusal.blame is Blame.INPUT else EXIT_MACHINE


async def _live(department: Department) -> None:
    # What was made until here is never garbage; looking through it again and again would keep an
    # answer waiting for a tenth of a second.
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    running = asyncio.create_task(department.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, department.stop)
    await running


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; returns 0, 2 (input refused) or 3 (the machine lacks it)."""
    parser = argparse.ArgumentParser(prog="service", description="Service over MQTT.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    asked = parser.parse_args(arguments)
    faulthandler.enable()
    to_stderr()
    os.nice(NICE)
    run_dir = asked.run_dir.resolve()
    try:
        config = load(asked.config)
        if config["mqtt.broker"] == "off":
            raise ConfigError("mqtt.broker", "off", "embedded or external, to run this process")
        with claim(run_dir / FOLDER):
            department = Department(config, asked.config.resolve(), run_dir)
            try:
                asyncio.run(_live(department))
            finally:
                department.close()
    except ConfigError as error:
        return _refused(Refusal("configuration", Blame.INPUT, error.key, str(error.value),
                                error.allowed, error.remedy))  # fmt: skip
    except AuditDamaged as error:
        return _refused(Refusal("audit_damaged", Blame.MACHINE, "audit.jsonl", str(error),
                                "an unbroken chain", "carm audit verify; keep the file as evidence "
                                "and move it away"))  # fmt: skip
    except Refusal as refusal:
        return _refused(refusal)
    except OSError as error:
        return _refused(Refusal("run_dir", Blame.MACHINE, "run_dir", str(run_dir),
                                "a writable directory", str(error)))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
