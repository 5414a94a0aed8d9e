"""`python -m controller.service.broker`: an MQTT broker for demo and tests, not for production.

Lives here: amqtt on the loopback address, one port, and the file `mqtt.json` that tells it.  May
not live here: anything a hospital's network could rely on: it has no TLS, no accounts and no access
rules; `systemd/mosquitto/` has all three.  It speaks MQTT 3.1.1 only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from controller.log import to_stderr
from controller.service.department import ENDPOINT
from controller.supervisor.state import write_whole
from realtime.wire.config import ConfigError, load

LOOPBACK: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 64
NICE: Final = 10
_log = logging.getLogger("broker")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(port: int) -> dict[str, Any]:
    return {
        "listeners": {
            "default": {"type": "tcp", "bind": f"{LOOPBACK}:{port}",
                        "max_connections": CONNECTIONS_MAX},
        },
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        },
    }  # fmt: skip


async def serve(port: int, run_dir: Path) -> None:
    """Serve on `port` (0: a free one) until SIGTERM or SIGINT."""
    from amqtt.broker import Broker

    chosen = port or _free_port()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    broker = Broker(_settings(chosen))
    await broker.start()
    told = {"host": LOOPBACK, "port": chosen, "pid": os.getpid(), "production": False}
    write_whole(run_dir / ENDPOINT, json.dumps(told) + "\n")
    _log.warning("not for production: no TLS, no accounts, loopback only, port %d", chosen)
    try:
        await ended.wait()
    finally:
        (run_dir / ENDPOINT).unlink(missing_ok=True)
        await broker.shutdown()


def main() -> int:
    """Run to the end; 0, 2 (input refused) or 3 (the machine lacks something)."""
    parser = argparse.ArgumentParser(prog="broker", description="MQTT for demo and tests only.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    asked = parser.parse_args()
    to_stderr()
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    os.nice(NICE)
    try:
        config = load(asked.config)
        if config["mqtt.broker"] != "embedded":
            raise ConfigError("mqtt.broker", config["mqtt.broker"], "embedded, to run this process")
        asyncio.run(serve(config["mqtt.port"], asked.run_dir.resolve()))
    except ConfigError as error:
        return _sorry(f"{error}; {error.remedy}", 2)
    except ImportError:
        return _sorry("amqtt is not installed; pip install 'carm-supervisor[broker]'", 3)
    except OSError as error:
        return _sorry(f"{error}; choose another mqtt.port", 3)
    return 0


def _sorry(why: str, code: int) -> int:
    sys.stderr.write(f"broker: {why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
