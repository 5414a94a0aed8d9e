"""What each command does once it may run.

Lives here: one method per command, and the table that joins them to the contract.  May not live
here: whether it may run (`controller.service.core.verdict`, and again the supervisor).  Everything
that changes anything asks the supervisor first, so its word counts also for our own files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.core.refusal import Refusal
from controller.service import downloads, incident
from controller.service.board import Board
from controller.service.clock import ServiceClock
from controller.service.configs import Configs
from controller.service.constancy import Constancy
from controller.service.core.commands import (
    COMMANDS,
    Because,
    ConfigNamed,
    ConfigText,
    ConstancyPlan,
    Download,
    FaultNamed,
    ProcessNamed,
    TelemetryRate,
)
from controller.service.core.envelope import Chunk, Progress
from controller.service.core.levels import Level
from controller.service.core.limits import CHUNKS_PER_S
from controller.service.core.picture import reasons
from controller.service.core.reasons import Reason, Refused
from controller.service.core.verdict import Accepted
from controller.service.journal import EventLog
from controller.service.link import until
from controller.service.publisher import Publisher, versions
from realtime.wire.config import load

Answer = dict[str, Any]
Said = Callable[[Progress, Chunk | None], None]
# Two downloads at a time: more would only share the same megabyte per second.
DOWNLOADS_MAX: Final = 2
TESTS: Final = frozenset({"self_test", "dry_run"})
LOOK_S: Final = 0.1


@dataclass(slots=True)
class Sources:
    """What acts work with.  `picture` is the newest, or None."""

    run_dir: Path
    config: Path
    frames: str
    folder: Path
    board: Board
    clock: ServiceClock
    configs: Configs
    constancy: Constancy
    events: EventLog
    publisher: Publisher
    picture: Callable[[], Mapping[str, Any]]
    own: Callable[[], Mapping[str, int]]
    end: Callable[[], None]


class Acts:
    """Carries accepted commands out.  Methods raise Refused with the machine's reason."""

    def __init__(self, sources: Sources) -> None:
        self._s = sources
        self._downloads = 0

    async def do(self, accepted: Accepted, said: Said) -> Answer:
        """The answer of the command; raises Refused."""
        row = accepted.request.row
        try:
            if row.level is Level.CHANGE:
                assert accepted.person is not None
                if row.name in TESTS:
                    return await self._tested(accepted, accepted.person.name, said)
                return await self._changes[row.name](self, accepted, accepted.person.name)
            if row.arguments is Download:
                return await self._download(accepted, said)
            return self._asks[row.name](self, accepted)
        except Refusal as refusal:
            raise Refused(Reason.MACHINE, str(refusal), refusal.body["error"]) from None
        except OSError as error:
            raise Refused(Reason.MACHINE, f"storage: {error}") from None

    # ── questions ────────────────────────────────────────────────────────────────────────────

    def _state(self, accepted: Accepted) -> Answer:
        picture = self._s.picture()
        return {key: picture[key] for key in ("dark", "pedals_up", "session_left_ms", "status")}

    def _why(self, accepted: Accepted) -> Answer:
        picture = self._s.picture()
        return {"mode": picture["status"]["mode"], "reasons": reasons(picture)}

    def _faults(self, accepted: Accepted) -> Answer:
        return {"faults": self._s.picture()["faults"]}

    def _self_test_report(self, accepted: Accepted) -> Answer:
        return {"steps": self._s.picture()["status"]["self_test"]}

    def _counters(self, accepted: Accepted) -> Answer:
        status = self._s.picture()["status"]
        beam = {key: status["executive"].get(key) for key in ("pulses", "skipped", "late_turns",
                                                              "irradiation_ms")}  # fmt: skip
        frames = {key: status["imaging"].get(key) for key in ("frames_read", "frames_published",
                                                              "frames_missing")}  # fmt: skip
        return {"beam": beam, "imaging": frames, "records": status["durable"],
                "generator": status["generator"].get("counter"),
                "results_rejected": status["results_rejected"],
                "service": dict(self._s.own())}  # fmt: skip

    def _clock(self, accepted: Accepted) -> Answer:
        return self._s.clock.report()

    def _config_read(self, accepted: Accepted) -> Answer:
        return self._s.configs.report()

    def _constancy_report(self, accepted: Accepted) -> Answer:
        return self._s.constancy.report()

    def _config_validate(self, accepted: Accepted) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, ConfigText)
        return self._s.configs.validate(arguments.toml)

    # ── downloads ────────────────────────────────────────────────────────────────────────────

    async def _download(self, accepted: Accepted, said: Said) -> Answer:
        if self._downloads >= DOWNLOADS_MAX:
            raise Refused(Reason.RATE, f"{DOWNLOADS_MAX} downloads are in progress")
        self._downloads += 1
        try:
            return await self._send(accepted, said)
        finally:
            self._downloads -= 1

    async def _send(self, accepted: Accepted, said: Said) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, Download)
        bundle = await self._made(accepted.request.row.name, said)
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for index in range(arguments.from_chunk, bundle.chunks):
            self._still_dark()
            progress = Progress(done=index + 1, total=bundle.chunks)
            said(progress, Chunk(**bundle.chunk(index)))
            due_s = max(due_s + 1 / CHUNKS_PER_S, loop.time())
            await until(due_s)
        return bundle.summary()

    async def _made(self, name: str, said: Said) -> downloads.Bundle:
        loop = asyncio.get_running_loop()
        s = self._s
        if name == "log_download":
            return await asyncio.to_thread(downloads.packed, "events", list(s.events.kept))
        if name == "audit_download":
            return await asyncio.to_thread(downloads.audit, s.folder)
        if name == "blackbox_download":
            return await asyncio.to_thread(downloads.black_box, s.run_dir)
        sources = incident.Sources(s.run_dir, s.config, s.frames, s.picture(),
                                   versions().model_dump(), list(s.events.kept))  # fmt: skip

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(said, Progress(done=done, total=total), None)

        return await asyncio.to_thread(incident.collect, sources, progress)

    def _still_dark(self) -> None:
        if not self._s.picture()["dark"]:
            raise Refused(Reason.BEAM_ON, "the beam came on; go on later with from_chunk")

    # ── changes ──────────────────────────────────────────────────────────────────────────────

    async def _tested(self, accepted: Accepted, by: str, said: Said) -> Answer:
        """A self-test or a dry run; tells each step that is done."""
        wish = asyncio.ensure_future(self._s.board.wish(accepted.request.row.name, by, {}))
        told = None
        try:
            while not wish.done():
                await asyncio.wait([wish], timeout=LOOK_S)
                seen = self._s.picture()["test"]
                if seen is not None and seen != told:
                    told = seen
                    said(Progress(**seen), None)
            return await wish
        finally:
            wish.cancel()

    async def _fault_acknowledge(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, FaultNamed)
        return await self._s.board.wish("acknowledge", by, {"fault": arguments.fault})

    async def _telemetry_rate(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, TelemetryRate)
        await self._permit(by)
        self._s.publisher.rates_hz[arguments.name] = arguments.hz
        return {"rates_hz": dict(self._s.publisher.rates_hz)}

    async def _config_propose(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, ConfigText)
        await self._permit(by)
        return self._s.configs.propose(arguments.toml)

    async def _config_queue(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, ConfigNamed)
        await self._permit(by)
        return self._s.configs.queue(arguments.proposal)

    async def _config_roll_back(self, accepted: Accepted, by: str) -> Answer:
        await self._permit(by)
        return self._s.configs.roll_back()

    async def _constancy_propose(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, ConstancyPlan)
        await self._permit(by)
        config = load(self._s.config)
        return self._s.constancy.propose(arguments.model_dump(), by, config, self._s.clock.now_ms())

    async def _process_restart(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, ProcessNamed)
        if arguments.process != "service":
            return await self._s.board.wish("restart", by, {"process": arguments.process})
        await self._permit(by)
        self._s.end()
        return {"ok": True}

    async def _lock_out(self, accepted: Accepted, by: str) -> Answer:
        arguments = accepted.request.arguments
        assert isinstance(arguments, Because)
        return await self._s.board.wish("lock_out", by, {"reason": arguments.reason})

    async def _permit(self, by: str) -> None:
        await self._s.board.wish("permit", by, {})

    _asks: Final[Mapping[str, Callable[[Acts, Accepted], Answer]]] = {
        "state": _state, "why": _why, "faults": _faults, "self_test_report": _self_test_report,
        "counters": _counters, "clock": _clock, "config_read": _config_read,
        "config_validate": _config_validate, "constancy_report": _constancy_report,
    }  # fmt: skip
    _changes: Final[Mapping[str, Callable[[Acts, Accepted, str], Awaitable[Answer]]]] = {
        "fault_acknowledge": _fault_acknowledge,
        "telemetry_rate": _telemetry_rate, "config_propose": _config_propose,
        "config_queue": _config_queue, "config_roll_back": _config_roll_back,
        "constancy_propose": _constancy_propose, "process_restart": _process_restart,
        "lock_out": _lock_out,
    }  # fmt: skip


_DOWNLOADS: Final = {row.name for row in COMMANDS.values() if row.arguments is Download}
_ACTS: Final = set(Acts._asks) | set(Acts._changes) | _DOWNLOADS | TESTS
assert set(COMMANDS) == _ACTS, "every command acts"
