"""A stranger at the embedded broker, with the key of the bench: commands with one thing wrong.

Lives here: making and publishing them.  May not live here: when (`outsiders`), what is heard of it
(`ears`), or a judgement on a command.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from controller.cli.clocks.ears import Events, Told
from controller.cli.machine import BENCH
from controller.cli.stage import Stage, StageError
from controller.service.department import ENDPOINT, FOLDER
from controller.service.journal import REPLAY
from controller.service.signing import body_text, load_private, make_key, new_id, signed

MS: Final = 1_000_000
BY: Final = "bench"
KEY: Final = "bench.key"
KEYS: Final = "service-keys"
VALID_MS: Final = 60_000
# What is only looked at, and stored nowhere.
GOOD: Final = BENCH.read_text(encoding="utf-8")
PUBLISHED_MAX_S: Final = 2.0
TAKEN_MAX_S: Final = 5.0


def give_keys(run_dir: Path) -> None:
    """The key of the bench, before anything starts."""
    make_key(run_dir / KEY, run_dir / KEYS / "engineer" / f"{BY}.pem")


def flipped(payload: bytes) -> bytes:
    """The same with a signature of nobody: its first character is another."""
    whole = json.loads(payload)
    first = "B" if whole["sig"][0] == "A" else "A"
    return json.dumps({**whole, "sig": first + whole["sig"][1:]}).encode()


class Commands(Events):
    """Hears the event log, and publishes; one command has been taken before the timeline."""

    def __init__(self, stage: Stage, told: Told) -> None:
        super().__init__(stage, told)
        self._stage = stage
        self._key = load_private(stage.run_dir / KEY)
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv311)
        self._taken_id, self._taken = new_id(), b""

    def start(self) -> None:
        """Connect, and have one harmless command taken; raises StageError."""
        super().start()
        told = json.loads((self._stage.run_dir / ENDPOINT).read_text(encoding="ascii"))
        self._client.connect(told["host"], told["port"])
        self._client.loop_start()
        self._taken = self._made("config_validate", {"toml": GOOD}, id_=self._taken_id)
        self.publish("config_validate", self._taken)
        window = self._stage.run_dir / FOLDER / REPLAY
        self._stage.wait("a command that is taken",
                         lambda: self._taken_id in window.read_text(), TAKEN_MAX_S)  # fmt: skip

    def stop(self) -> None:
        """Let go of the broker."""
        super().stop()
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, command: str, payload: bytes) -> int:
        """Publish on `cmd/`; when the broker has acknowledged it, 0: never."""
        device = self._stage.local("status")["device"]
        sent = self._client.publish(f"carm/{device}/cmd/{command}", payload, qos=1)
        sent.wait_for_publish(PUBLISHED_MAX_S)
        return time.monotonic_ns() if sent.is_published() else 0

    def spoiled(self, kind: str) -> tuple[str, bytes]:
        """A command with one thing wrong, and the name on its topic."""
        if kind == "duplicate":
            return "config_validate", self._taken
        if kind == "replayed":
            again = self._made("config_validate", {"toml": GOOD + "# again\n"}, id_=self._taken_id)
            return "config_validate", again
        before = {"stale": 1}.get(kind, 0)
        valid_ms = -1 if kind == "expired" else VALID_MS
        payload = self._made("lock_out", {"reason": kind}, before=before, valid_ms=valid_ms)
        return "lock_out", flipped(payload) if kind == "forged" else payload

    def _made(
        self, command: str, arguments: dict[str, Any], *, id_: str = "", before: int = 0,
        valid_ms: int = VALID_MS,
    ) -> bytes:  # fmt: skip
        status = self._stage.local("status")
        if "error" in status:
            raise StageError("the supervisor does not tell its epoch")
        text = body_text(
            command, arguments, device=status["device"], epoch=status["epoch"] - before, by=BY,
            now_ms=time.time_ns() // MS, valid_ms=valid_ms, id_=id_,
        )  # fmt: skip
        return signed(text, self._key)
