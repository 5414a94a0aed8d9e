"""The process's one object: it joins supervisor, broker, desk and files.

Theory of operation.  The supervisor says by itself what is new, at once, and that it lives; so at
rest nothing is asked.  While something goes on it is asked for its picture ten times a second.

Lives here: composition, pictures, and accounts once a second.  May not live here: checks or acts.
Without a supervisor every command is refused; without a broker
everything goes on; without keys nobody can command, and `cmd/` is not even listened to.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from controller.log import line
from controller.service import link as broker_link
from controller.service.acts import Acts, Sources
from controller.service.board import Board
from controller.service.clock import ServiceClock
from controller.service.configs import Configs
from controller.service.constancy import Constancy
from controller.service.core.limits import (
    PICTURE_AGE_NS_MAX,
    PICTURE_HZ,
    REPLAY_IDS_MAX,
    REST_HZ_MAX,
    SILENCE_NS_MAX,
)
from controller.service.core.reasons import Reason, Refused
from controller.service.core.states import Beat, Presence
from controller.service.core.verdict import Situation
from controller.service.desk import Desk
from controller.service.journal import AuditLog, EventLog, ReplayFile
from controller.service.keyfiles import read_ring
from controller.service.outbox import Outbox
from controller.service.publisher import Publisher, dumped
from controller.stream.publisher import endpoint_of
from realtime.notify import Watchdog
from realtime.wire.config import Config

FOLDER: Final = "state/service"
ENDPOINT: Final = "mqtt.json"
_log = logging.getLogger("service")
RETRY_S: Final = 0.2
CRITICAL: Final = {"rhythm": 0, "watch": 0}


class Department:
    """One service department of one run directory.  Raises AuditDamaged or OSError at the start."""

    def __init__(self, config: Config, config_file: Path, run_dir: Path) -> None:
        self._config, self._run_dir = config, run_dir
        folder = run_dir / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = ServiceClock()
        self._started_ms = self._clock.now_ms()
        self._audit = AuditLog(folder, self._started_ms)
        self._replay = ReplayFile(folder, REPLAY_IDS_MAX)
        self._events = EventLog(folder)
        self._outbox = Outbox()
        self._publisher = Publisher(self._outbox, self._audit, self._events)
        self._board = Board(run_dir, self._told)
        self._picture: Mapping[str, Any] | None = None
        self._busy = asyncio.Event()
        self._seen_ns = self._heard_ns = -PICTURE_AGE_NS_MAX
        self._watchdog = Watchdog(CRITICAL)
        self._seconds = self._looks = 0
        device = config["device"]
        self._desk = Desk(device, self._clock, self._audit, self._replay, self._publisher,
                          self._situation)  # fmt: skip
        self._link = broker_link.Link(device, self._outbox, self._address, self._will, self._beat)
        self._link.on_message, self._link.on_change = self._desk.take, self._broker_changed
        self._link.listens = lambda: bool(self._desk.ring)
        frames = endpoint_of(config["stream.bind"], run_dir)
        self._desk.acts = Acts(Sources(
            run_dir, config_file, frames, folder, self._board, self._clock,
            Configs(run_dir, config_file), Constancy(run_dir), self._events, self._publisher,
            self._known_picture, self._own, self._end,
        ))  # fmt: skip
        self._read_keys()

    async def run(self) -> None:
        """Until `stop`, or the task is cancelled."""
        self._ended = asyncio.Event()
        self._audit.write(self._clock.now_ms(), "started", {"pid": os.getpid()}, durable=True)
        async with asyncio.TaskGroup() as group:
            self._desk.group = group
            tasks = [group.create_task(self._link.run()), group.create_task(self._watch()),
                     group.create_task(self._rhythm())]  # fmt: skip
            await self._ended.wait()
            self._watchdog.stopping()
            await self._farewell()
            for task in tasks:
                task.cancel()
        self._board.close()

    def stop(self) -> None:
        """End `run` soon."""
        self._ended.set()

    def close(self) -> None:
        """Close the files."""
        self._audit.write(self._clock.now_ms(), "ended", {})
        for file in (self._audit, self._replay, self._events):
            file.close()

    async def _farewell(self) -> None:
        """Replies already made go out, and the birth message is taken back; half a second at most.

        A broker that does not take it in that time sends our last will instead.
        """
        self._publisher.presence(self._presence(online=False))
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + 0.5
        while len(self._outbox) and self._link.subscribed and loop.time() < give_up_s:
            await broker_link.until(loop.time() + 0.02)

    def _end(self) -> None:
        # The reply of the command that asked for it has to leave first.
        asyncio.get_running_loop().call_later(0.2, self.stop)

    # ── what others ask ──────────────────────────────────────────────────────────────────────

    def _address(self) -> broker_link.Address:
        config, port = self._config, self._config["mqtt.port"]
        if config["mqtt.broker"] == "embedded":
            # The embedded broker writes down which port it was given; raises OSError until then.
            port = int(json.loads((self._run_dir / ENDPOINT).read_text(encoding="ascii"))["port"])
        tls = config["mqtt.security"] == "tls"
        certificates = config.path("mqtt.certificates", self._run_dir) if tls else None
        version5 = config["mqtt.protocol"] == "5"
        return broker_link.Address(config["mqtt.host"], port, version5, certificates)

    def _presence(self, online: bool) -> Presence:
        known = time.monotonic_ns() - self._seen_ns <= PICTURE_AGE_NS_MAX
        epoch = self._picture["status"]["epoch"] if known and self._picture is not None else None
        return Presence(
            online=online, device=self._config["device"], epoch=epoch, pid=os.getpid(),
            started_ms=self._started_ms, commands="signed" if self._desk.ring else "none",
        )  # fmt: skip

    def _will(self) -> bytes:
        return dumped(self._presence(online=False))

    def _beat(self, number: int) -> bytes:
        return dumped(Beat(t_ms=self._clock.now_ms(), beat=number))

    def _known_picture(self) -> Mapping[str, Any]:
        if self._picture is None or time.monotonic_ns() - self._seen_ns > PICTURE_AGE_NS_MAX:
            raise Refused(Reason.UNAVAILABLE, "the supervisor does not answer")
        return self._picture

    def _situation(self) -> Situation:
        picture, device = self._picture, self._config["device"]
        if picture is None:
            return Situation(device, 0, False, None, False, self._seen_ns)
        return Situation(device, picture["status"]["epoch"], picture["dark"], picture["pedals_up"],
                         picture["session_left_ms"] > 0, self._seen_ns)  # fmt: skip

    def _own(self) -> Mapping[str, int]:
        refused = self._publisher.refusals.counted.total()
        return {"accepted": self._publisher.accepted, "refused": refused,
                "dropped": broker_link.Intake.dropped + self._outbox.dropped,
                "connects": self._link.connects}  # fmt: skip

    def _broker_changed(self, change: str, detail: str) -> None:
        fields = {"change": change, "detail": detail}
        self._publisher.event("broker", self._clock.now_ms(), fields)

    def _read_keys(self) -> None:
        listened = bool(self._desk.ring)
        self._desk.ring = read_ring(self._config.path("mqtt.keys", self._run_dir))
        if listened != bool(self._desk.ring):
            self._link.renew()

    # ── rhythms ──────────────────────────────────────────────────────────────────────────────

    async def _watch(self) -> None:
        """The supervisor, again and again."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                reader = await self._board.connect()
                self._heard_ns = time.monotonic_ns()
                self._board.watch()
                async with asyncio.TaskGroup() as group:
                    asking = group.create_task(self._ask())
                    await self._board.listen(reader)
                    asking.cancel()
            except* (OSError, json.JSONDecodeError, Refused) as group:
                self._board.close()
                line(_log, "warning", "supervisor_lost", {"why": str(group.exceptions[0])[:80]})
            self._looks += 1
            self._publisher.presence(self._presence(online=True))
            await broker_link.until(loop.time() + RETRY_S)

    async def _ask(self) -> None:
        """Ask for pictures, while something goes on."""
        loop = asyncio.get_running_loop()
        while True:
            await self._busy.wait()
            due_s = loop.time() + 1 / PICTURE_HZ
            self._shown(await self._board.picture())
            await broker_link.until(max(due_s, loop.time()))

    def _told(self, said: Mapping[str, Any]) -> None:
        """The supervisor has said something by itself."""
        if "status" in said:
            self._shown(said)
        elif "t_ns" in said:
            self._lives(said["t_ns"])
        else:
            raise Refused(Reason.UNAVAILABLE, "the supervisor does not let us watch")

    def _lives(self, t_ns: int) -> None:
        """It has said so at `t_ns`; a line that waited because we stood still is an old one."""
        self._seen_ns, self._heard_ns = t_ns, time.monotonic_ns()
        self._looks += 1

    def _shown(self, picture: Mapping[str, Any]) -> None:
        """A picture, asked for or not."""
        opened = picture["session_left_ms"] > 0 and not self._situation().session
        self._picture = picture
        self._lives(picture["t_ns"])
        if opened:
            # Somebody stands at the board: the moment to believe clock and keys anew.
            self._clock.take()
            self._read_keys()
        now_ms = self._clock.now_ms()
        self._publisher.picture(picture, now_ms)
        self._publisher.telemetry(picture, self._heard_ns, now_ms)
        self._publisher.presence(self._presence(online=True))
        if self._calm(picture):
            self._busy.clear()
        else:
            self._busy.set()

    def _calm(self, picture: Mapping[str, Any]) -> bool:
        """Nobody acts, nothing shines, and nobody has asked for telemetry in quick succession."""
        idle = picture["dark"] and picture["test"] is None and picture["session_left_ms"] <= 0
        return bool(idle and self._publisher.fastest_hz <= REST_HZ_MAX)

    async def _rhythm(self) -> None:
        """Once a second."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            now_ms, now_ns = self._clock.now_ms(), time.monotonic_ns()
            self._publisher.second(now_ms)
            self._publisher.service_telemetry(len(self._outbox), broker_link.Intake.dropped,
                                              self._link.connects, now_ns, now_ms)  # fmt: skip
            if now_ns - self._seen_ns > PICTURE_AGE_NS_MAX:
                self._publisher.presence(self._presence(online=True))
            if now_ns - self._heard_ns > SILENCE_NS_MAX:
                # Not even that it lives: it is sought anew.
                self._board.close()
            self._seconds += 1
            self._watchdog.turn(now_ns, (self._seconds, self._looks))
            due_s = max(due_s + 1, loop.time())
            await broker_link.until(due_s)
