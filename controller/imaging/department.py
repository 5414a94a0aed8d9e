"""Imaging's decisions, message by message: pair, judge, tell, publish or account for the loss.

Lives here: what each message and each frame does, with the time handed in.  May not live here:
sockets and clocks (`controller.imaging.loop`), pixels' arithmetic (`chain`), or the stream's order
(`outgoing`).

One run at a time.  RunStart opens it; PulseReports say which pulses exist; each is settled once, in
order, as a published frame or a loss with its reason; RunEnd and the last settled pulse close it.
The verdict on a frame leaves before anything expensive is done to it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import Final, Protocol

from controller.devices.panel import Panel
from controller.imaging import verdict
from controller.imaging.chain import FrameChain
from controller.imaging.frame_count import FrameCount
from controller.imaging.outgoing import MS, Outgoing
from controller.imaging.pairing import Outcome, Pairing
from controller.imaging.series import PULSES_MAX
from controller.stream.header import unknown_series
from realtime.wire.messages import (
    Committed,
    DarkFrame,
    DarkFrameResult,
    Delivered,
    EndReason,
    ImagingState,
    Message,
    PulseReport,
    RunEnd,
    RunStart,
    Series,
    Topology,
    Verdict,
)
from realtime.wire.ring import FLAG_AFTER_IDLE, Slot

# A frame is due one readout after its pulse; two periods is the limit of F22.
DEADLINE_PERIODS: Final = 2
# The period of a run whose start was never seen (imaging came up in the middle of it).
PERIOD_UNKNOWN_NS: Final = 100 * MS
PERIOD_NS_MAX: Final = 10_000 * MS
# A dark frame comes within a panel cycle; the first one after idle is taken only if alone.
DARK_ALONE_NS: Final = 250 * MS
DARK_MAX_NS: Final = 2_000 * MS
TECHNIQUES_MAX: Final = 64
SERIES_MAX: Final = 8
DARK_REQUESTS_MAX: Final = 4


class Peers(Protocol):
    """Who is told.  Neither call blocks; a peer that is away hears nothing."""

    def tell_executive(self, message: Message) -> None:
        """To realtime, on verdicts.sock."""

    def tell_supervisor(self, message: Message) -> None:
        """To the supervisor, on imaging.sock."""


@dataclass(slots=True)
class DarkRequest:
    """A self-test that waits for an unpulsed frame; `level` of one that came after idle."""

    request_id: int
    asked_ns: int
    level: tuple[float, float] | None = None


class Department:
    """Imaging without its sockets."""

    def __init__(self, chain: FrameChain, outgoing: Outgoing, peers: Peers) -> None:
        self.chain = chain
        self.outgoing = outgoing
        self.odd: Counter[str] = Counter()
        self.frames_read = 0
        self._peers = peers
        self._pairing = Pairing()
        self._count = FrameCount()
        self._period_ns = PERIOD_UNKNOWN_NS
        self._reported_n = -1
        self._torn = False
        self._last_verdict_n = 0
        self._series: OrderedDict[int, Series] = OrderedDict()
        self._committed: OrderedDict[int, Committed] = OrderedDict()
        self._dark: deque[DarkRequest] = deque(maxlen=DARK_REQUESTS_MAX)

    # ── from the executive ───────────────────────────────────────────────────────────────────

    def from_executive(self, message: Message, panel: Panel, now_ns: int) -> None:
        """A message of verdicts.sock; kinds that are not meant for imaging are counted."""
        if isinstance(message, PulseReport):
            self._pulse(message, panel, now_ns)
        elif isinstance(message, RunStart):
            self._open_run(message, now_ns)
        elif isinstance(message, RunEnd):
            self._end_run(message, now_ns)
        else:
            self.odd[f"executive_{type(message).__name__}"] += 1

    def executive_lost(self, now_ns: int) -> None:
        """No more reports will come: the run is over as far as imaging can know."""
        run = self.outgoing.run
        if run is not None and run.end is None:
            end = RunEnd(run.start.run_id, now_ns, EndReason.LINK, "executive_lost", 0, 0)
            self._end_run(end, now_ns)

    def _open_run(self, start: RunStart, now_ns: int) -> None:
        self._abandon(now_ns)
        self._period_ns = min(start.period_num_ns // max(1, start.period_den), PERIOD_NS_MAX)
        self._reported_n = -1
        self._torn = False
        self.chain.start_run()
        self._count.forget()
        self.outgoing.begin(start, self._series.get(start.run_id, unknown_series(start.run_id)))

    def _abandon(self, now_ns: int) -> None:
        """Close the run before, if it is still open: its frames had their time."""
        run = self.outgoing.run
        if run is None or run.closed:
            return
        if run.end is None:
            end = RunEnd(run.start.run_id, now_ns, EndReason.CRASH, "no_run_end", 0, 0)
            self.outgoing.end(end, now_ns)
        for pulse in self._pairing.drop_all():
            self._lost(pulse, "run_over", now_ns)
        self.outgoing.close_run()

    def _pulse(self, pulse: PulseReport, panel: Panel, now_ns: int) -> None:
        run = self.outgoing.run
        if run is None or run.start.run_id != pulse.run_id:
            start = RunStart(
                pulse.run_id, pulse.mode, Topology.CONTROLLER_MASTER,
                PERIOD_UNKNOWN_NS, 1, pulse.start_ns,
            )  # fmt: skip
            self._open_run(start, now_ns)
            run = self.outgoing.run
        assert run is not None
        if run.end is not None or not self._reported_n < pulse.pulse_n < PULSES_MAX:
            self.odd["pulse_out_of_order"] += 1
            return
        self._reported_n = pulse.pulse_n
        run.account.reported(pulse.pulse_n)
        deadline_ns = pulse.start_ns + DEADLINE_PERIODS * self._period_ns
        claimed, dropped = self._pairing.pulse(pulse, deadline_ns)
        for old in dropped:
            self._lost(old, "too_many_pending", now_ns)
        if claimed is not None:
            self._frame(claimed, panel, now_ns)

    def _end_run(self, end: RunEnd, now_ns: int) -> None:
        run = self.outgoing.run
        if run is None or run.start.run_id != end.run_id or run.end is not None:
            self.odd["run_end_of_no_run"] += 1
            return
        if end.pulses > PULSES_MAX:
            self.odd["run_end_pulses"] += 1
            end = RunEnd(end.run_id, end.t_ns, end.reason, end.code, 0, end.skipped)
        self.outgoing.end(end, now_ns)
        self._close_when_settled()

    def _close_when_settled(self) -> None:
        run = self.outgoing.run
        if run is not None and run.end is not None and not run.closed and not self._pairing.pending:
            self.outgoing.close_run()

    # ── from the panel ───────────────────────────────────────────────────────────────────────

    def frames(self, panel: Panel, seqs: list[int], now_ns: int) -> None:
        """Frames the panel says are whole, in order."""
        for seq in seqs:
            slot = panel.header(seq)
            if slot is None:
                # Its header cannot be believed either: the pulse is told apart by its deadline.
                self.odd["torn"] += 1
                self._torn = True
                continue
            self.frames_read += 1
            self._frame(slot, panel, now_ns)

    def panel_lost(self, now_ns: int) -> None:
        """The panel is gone: no frame that is waited for will come."""
        self._count.forget()
        for pulse in self._pairing.drop_all():
            self._lost(pulse, "panel_lost", now_ns)
        self._close_when_settled()

    def _frame(self, slot: Slot, panel: Panel, now_ns: int) -> None:
        match = self._pairing.frame(slot, now_ns)
        possible = match.outcome is Outcome.FOREIGN or self._count.possible(slot)
        for pulse in match.overtaken:
            self._lost(pulse, self._absence(), now_ns)
        if match.pulse is not None:
            self._judge(slot, match.pulse, panel, now_ns, possible=possible)
        elif match.outcome is Outcome.UNPULSED:
            self._unpulsed(slot, panel)
        else:
            self.odd[str(match.outcome)] += 1
        self._close_when_settled()

    def _judge(
        self, slot: Slot, pulse: PulseReport, panel: Panel, now_ns: int, *, possible: bool
    ) -> None:
        # A torn slot before this frame was not this frame's.
        self._torn = False
        reason = self.chain.inspect(panel, slot, truncated=pulse.truncated)
        if verdict.is_valid(reason) and not possible:
            reason = "wrong_id"
        if not verdict.is_valid(reason):
            self._lost(pulse, reason, now_ns, slot.frame_no)
            return
        self._send_verdict(pulse, slot.frame_no, valid=True, reason=reason)
        committed = self._committed.get(pulse.technique_id)
        picture = self.chain.correct()
        self.outgoing.frame(pulse, committed, slot, picture, self.chain.applied)

    def _absence(self) -> str:
        torn, self._torn = self._torn, False
        return "torn" if torn else "missing"

    def _lost(self, pulse: PulseReport, reason: str, now_ns: int, frame_no: int = 0) -> None:
        self._send_verdict(pulse, frame_no, valid=False, reason=reason)
        self.outgoing.lose(pulse, reason, now_ns)

    def _send_verdict(self, pulse: PulseReport, frame_no: int, *, valid: bool, reason: str) -> None:
        self._last_verdict_n = pulse.pulse_n
        self._peers.tell_executive(Verdict(pulse.run_id, pulse.pulse_n, frame_no, valid, reason))

    # ── from the supervisor ──────────────────────────────────────────────────────────────────

    def from_supervisor(self, message: Message, now_ns: int) -> None:
        """A message of imaging.sock; kinds that are not meant for imaging are counted."""
        if isinstance(message, Delivered):
            self.outgoing.delivered(message, now_ns)
        elif isinstance(message, Committed):
            self._committed[message.technique_id] = message
            self._committed.move_to_end(message.technique_id)
            while len(self._committed) > TECHNIQUES_MAX:
                self._committed.popitem(last=False)
        elif isinstance(message, Series):
            self._series[message.run_id] = message
            while len(self._series) > SERIES_MAX:
                self._series.popitem(last=False)
        elif isinstance(message, DarkFrame):
            self._dark.append(DarkRequest(message.request_id, now_ns))
        else:
            self.odd[f"supervisor_{type(message).__name__}"] += 1

    def _unpulsed(self, slot: Slot, panel: Panel) -> None:
        """A clearing or dark frame: neither published nor lost; the self-test looks at it."""
        if not self._dark:
            return
        level = self.chain.dark_level(panel, slot)
        if level is None:
            return
        if slot.flags & FLAG_AFTER_IDLE:
            self._dark[0].level = level
        else:
            self._answer_dark(self._dark.popleft(), level, "")

    def _answer_dark(self, asked: DarkRequest, level: tuple[float, float], detail: str) -> None:
        mean_du, sigma_du = level
        ok = verdict.dark_ok(mean_du, sigma_du)
        self._peers.tell_supervisor(
            DarkFrameResult(asked.request_id, ok, mean_du, sigma_du, detail)
        )

    def _dark_overdue(self, now_ns: int) -> None:
        asked = self._dark[0]
        if asked.level is not None and now_ns - asked.asked_ns >= DARK_ALONE_NS:
            self._dark.popleft()
            self._answer_dark(asked, asked.level, "the only frame, and the first after idle")
        elif now_ns - asked.asked_ns >= DARK_MAX_NS:
            self._dark.popleft()
            detail = "no frame" if self.chain.calibrated else "no calibration"
            self._peers.tell_supervisor(DarkFrameResult(asked.request_id, False, 0.0, 0.0, detail))

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    def tick(self, now_ns: int) -> None:
        """Do what is due: missing frames, self-test answers, publications."""
        for pulse in self._pairing.expire(now_ns):
            self._lost(pulse, self._absence(), now_ns)
        self._close_when_settled()
        if self._dark:
            self._dark_overdue(now_ns)
        self.outgoing.tick(now_ns)

    def next_due_ns(self) -> int | None:
        """When `tick` has something to do next (self-tests ride on the state's period)."""
        dues = (self._pairing.next_deadline_ns(), self.outgoing.next_due_ns())
        return min((due for due in dues if due is not None), default=None)

    def state(self, now_ns: int, *, panel: bool, executive: bool, detail: str) -> ImagingState:
        """Proof of life and counters for the supervisor."""
        return ImagingState(
            now_ns, panel, executive, self.frames_read, self.outgoing.published,
            self.outgoing.missing, self._last_verdict_n, detail,
        )  # fmt: skip
