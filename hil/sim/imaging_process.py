"""The process `imaging` in virtual time: the shipped pairing, and verdicts without pixels.

Lives here: which frame belongs to which pulse, what is told to executive and supervisor, and when.
May not live here: pixels; what a look at them would find comes with the frame from the room (zero,
torn, frozen), as the look itself is tested with real pixels elsewhere.  Of a picture there is only
its mean level (`light`), for the shipped floor below which there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from controller.imaging.frame_count import FrameCount
from controller.imaging.pairing import Outcome, Pairing
from controller.imaging.signal_floor import SignalFloor
from hil.room.records import FrameDue
from hil.sim.chance import Stream
from hil.sim.light import Light
from realtime.wire.messages import (
    DarkFrame,
    DarkFrameResult,
    Delivered,
    Hello,
    ImagingState,
    Message,
    PulseReport,
    RunEnd,
    RunStart,
    Topology,
    Verdict,
)
from realtime.wire.ring import FLAG_AFTER_IDLE, Slot

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
DEADLINE_PERIODS: Final = 2
PERIOD_UNKNOWN_NS: Final = 100 * MS
DARK_ALONE_NS: Final = 250 * MS
DARK_MAX_NS: Final = 2_000 * MS
# From a whole frame to its verdict: copy, offset, mean of 1024² pixels.
JUDGE_NS: Final = (1 * MS, 4 * MS)
WRONG_ID_OFFSET: Final = 1000
# What a look at the pixels finds, by the room's name for what is wrong with the frame.
FOUND: Final = {"torn": "torn", "size": "size", "zero": "zero", "frozen": "frozen"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame in the ring: its header in the host's clock, and what its pixels show."""

    slot: Slot
    wrong: str
    level_du: float


class ImagingProcess:
    """`alive` while it exists, `stopped` while it is not scheduled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Stream(world.seed, "imaging")
        self.alive = False
        self.stopped = False
        self.epoch = 0
        self._late: list[Message | Frame] = []
        self._light = Light()
        self._forget()

    def _forget(self) -> None:
        self._pairing = Pairing()
        self._count = FrameCount()
        self._floor = SignalFloor()
        self._frames: dict[int, Frame] = {}
        self._run_id = 0
        self.run: RunStart | None = None
        self._over = True
        self._period_ns = PERIOD_UNKNOWN_NS
        self._seq = 0
        self.frames_read = 0
        self.valid = 0
        self.lost: dict[str, int] = {}
        self._dark: list[tuple[int, int]] = []
        self._dark_idle = False

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """A new process."""
        self.epoch += 1
        self._forget()
        self._late.clear()
        self.alive, self.stopped = True, False
        self._world.audience.published_anew(None)

    def hello(self) -> Hello:
        """What it says to whoever it connects to."""
        return Hello("imaging", self.epoch, 2000 + self.epoch, 0, "")

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False
        self._world.audience.publisher_gone()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def cont(self) -> None:
        """SIGCONT: everything that waited is read at once."""
        self.stopped = False
        late, self._late = self._late, []
        for item in late:
            if isinstance(item, Frame):
                self._frame(item)
            else:
                self._take(item)
        self._expire()

    # ── news ─────────────────────────────────────────────────────────────────────────────────

    def message(self, message: Message) -> None:
        """A message of executive or supervisor."""
        if not self.alive:
            return
        if self.stopped:
            self._late.append(message)
            return
        self._take(message)

    def due(self, due: FrameDue, shift_ns: int) -> None:
        """The panel will have a frame; `shift_ns` puts foreign stamps on it (F27)."""
        level_du = self._light.level_du(due)
        if due.defect == "missing":
            return
        world = self._world
        whole_ns = due.readout_end_ns + self._chance.between(50_000, 300_000)
        whole_ns += due.delay_ns if due.defect == "late" else 0
        self._seq += 1
        of = world.clock.of
        # Another number each time: a count that is only shifted is as good as any.
        wrong_by = WRONG_ID_OFFSET * self._seq if due.defect == "wrong_id" else 0
        slot = Slot(
            self._seq, due.frame_no + wrong_by,
            of(due.integration_open_ns + shift_ns),
            of(due.integration_close_ns + shift_ns), of(due.readout_end_ns), 0, 0,
            FLAG_AFTER_IDLE if due.after_idle else 0, 0, 0, 0,
        )  # fmt: skip
        frame = Frame(slot, FOUND.get(due.defect, ""), level_du)
        world.clockwork.at(whole_ns, self._arrive, frame)
        if due.defect == "duplicate":
            world.clockwork.at(whole_ns + MS, self._arrive, frame)

    def _arrive(self, frame: Frame) -> None:
        if not self.alive:
            return
        if self.stopped:
            self._late.append(frame)
            return
        self._frame(frame)

    # ── decisions, as `controller.imaging.department` takes them ─────────────────────────────

    def _take(self, message: Message) -> None:
        self._world.journal.note("imaging", self._world.clockwork.now_ns,
                                 self._world.journal.values(message))  # fmt: skip
        if isinstance(message, PulseReport):
            self._pulse(message)
        elif isinstance(message, RunStart):
            self._open_run(message)
        elif isinstance(message, RunEnd):
            self._over = True
            self._world.audience.end(message)
            self._world.audience.settle(bool(self._pairing.pending))
        elif isinstance(message, Delivered):
            self._world.audience.delivered(message)
        elif isinstance(message, DarkFrame):
            self._expect_dark(message.request_id)

    def _open_run(self, start: RunStart) -> None:
        for pulse in self._pairing.drop_all():
            self._tell(pulse, "run_over", 0)
        self._count.forget()
        self._floor.start_run()
        self.run, self._run_id, self._over = start, start.run_id, False
        self._period_ns = start.period_num_ns // start.period_den
        self._frames.clear()
        self._world.audience.begin(start)

    def _pulse(self, report: PulseReport) -> None:
        if report.run_id != self._run_id:
            self._open_run(RunStart(report.run_id, report.mode, Topology.CONTROLLER_MASTER,
                                    PERIOD_UNKNOWN_NS, 1, report.start_ns))  # fmt: skip
        if self._over:
            return
        self._world.audience.reported(report)
        deadline_ns = report.start_ns + DEADLINE_PERIODS * self._period_ns
        claimed, dropped = self._pairing.pulse(report, deadline_ns)
        for old in dropped:
            self._tell(old, "too_many_pending", 0)
        if claimed is not None and claimed.seq in self._frames:
            self._frame(self._frames.pop(claimed.seq))
        clockwork = self._world.clockwork
        clockwork.at(self._world.clock.when(deadline_ns), self._expire)

    def _expire(self) -> None:
        if not self.alive or self.stopped:
            return
        for pulse in self._pairing.expire(self._world.now_host_ns):
            self._tell(pulse, "missing", 0)
        self._world.audience.settle(bool(self._pairing.pending))

    def _frame(self, frame: Frame) -> None:
        self.frames_read += 1
        self._world.journal.note("frame", self._world.clockwork.now_ns, frame.slot, frame.wrong)
        match = self._pairing.frame(frame.slot, self._world.now_host_ns)
        possible = match.outcome is Outcome.FOREIGN or self._count.possible(frame.slot)
        for pulse in match.overtaken:
            self._tell(pulse, "missing", 0)
        if match.pulse is not None:
            reason = self._reason(frame, match.pulse) or ("" if possible else "wrong_id")
            self._tell(match.pulse, reason, frame.slot.frame_no)
            if not reason:
                self._world.audience.frame(match.pulse, frame.slot)
        elif match.outcome is Outcome.UNPULSED:
            self._unpulsed(frame)
        self._world.audience.settle(bool(self._pairing.pending))

    def _reason(self, frame: Frame, pulse: PulseReport) -> str:
        if frame.wrong:
            return frame.wrong
        if frame.slot.flags & FLAG_AFTER_IDLE:
            return "after_idle"
        t_ns = frame.slot.integration_close_ns
        if pulse.truncated:
            return ""
        if frame.level_du < self._floor.at(t_ns):
            return "no_signal"
        self._floor.valid(frame.level_du, t_ns)
        return ""

    def _tell(self, pulse: PulseReport, reason: str, frame_no: int) -> None:
        valid = not reason
        self.valid += valid
        if reason:
            self.lost[reason] = self.lost.get(reason, 0) + 1
            self._world.audience.lose(pulse, reason)
        told = reason or ("truncated" if pulse.truncated else "ok")
        verdict = Verdict(pulse.run_id, pulse.pulse_n, frame_no, valid, told)
        after_ns = self._chance.between(*JUDGE_NS)
        self._world.verdicts.send(verdict, self._world.clockwork.now_ns + after_ns)

    # ── the dark frame of the self-test ──────────────────────────────────────────────────────

    def _expect_dark(self, request_id: int) -> None:
        clockwork = self._world.clockwork
        self._dark = [(request_id, clockwork.now_ns), *self._dark][:4]
        self._dark_idle = False
        for after_ns in (DARK_ALONE_NS, DARK_MAX_NS):
            clockwork.at(clockwork.now_ns + after_ns, self._dark_overdue, request_id, after_ns)

    def _unpulsed(self, frame: Frame) -> None:
        self._frames[frame.slot.seq] = frame
        while len(self._frames) > 4:
            self._frames.pop(next(iter(self._frames)))
        if not self._dark:
            return
        self._floor.dark(frame.level_du)
        if frame.slot.flags & FLAG_AFTER_IDLE:
            self._dark_idle = True
        else:
            self._answer_dark(True, "")

    def _dark_overdue(self, request_id: int, after_ns: int) -> None:
        if not self.alive or self.stopped or not self._dark or self._dark[0][0] != request_id:
            return
        if after_ns == DARK_MAX_NS:
            self._answer_dark(False, "no frame")
        elif self._dark_idle:
            self._answer_dark(True, "the only frame, and the first after idle")

    def _answer_dark(self, ok: bool, detail: str) -> None:
        request_id, _ = self._dark.pop(0)
        result = DarkFrameResult(request_id, ok, 0.0, 2.0 if ok else 0.0, detail)
        self._world.from_imaging.send(result)

    def state(self) -> ImagingState:
        """Proof of life."""
        world = self._world
        return ImagingState(world.now_host_ns, True, world.verdicts.open, self.frames_read,
                            self.valid, sum(self.lost.values()), 0, "")  # fmt: skip
