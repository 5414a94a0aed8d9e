"""From order to pulse: bind, trigger, fire, fall, readout; skip and count.

Theory of operation.  Each due slot is bound to one technique shortly before (BANK, trigger) if the
order, the credit and the pictures allow it, otherwise skipped.  At the due instant everything is
looked at again together with WINDOW and the read-backs; what does not agree is skipped, never late
and never made up.  PULSE falls after its set width and 1 ms, or at once when the run ends.

Lives here: the progress of a run through the beam table.  May not live here: reasons to end a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime.beam import BeamEvent, BeamState
from realtime.inputs import Inputs, Peer
from realtime.limits import (
    BANK_SETTLE_NS,
    MS,
    PERMIT_LEAD_NS,
    PULSE_OVERHANG_NS,
    US,
    WINDOW_LATE_NS,
)
from realtime.orders import Bound, bound_of
from realtime.run import Run, Shot
from realtime.watch import Asked
from realtime.wire.lines import In, mask
from realtime.wire.messages import EndReason, Mode, Order, RunStart, Skip, SkipReason
from realtime.wire.record import REASONS, Record, RecordKind, RecordState

if TYPE_CHECKING:
    from realtime.executive import Executive

_WINDOW = mask(In.WINDOW)
_XRAY = mask(In.XRAY_ON)
_HARDWARE = mask(In.PERMIT_OK, In.CHAIN_OK)
TRIGGER_HIGH_NS = 2 * MS


class Firing:
    """The pulse in preparation or in progress."""

    __slots__ = ("asked", "bound", "bound_ns", "clear_ns", "fall_ns", "of", "pulse_id_next", "seen",
                 "shot")  # fmt: skip

    def __init__(self, of: Executive, pulse_id_next: int) -> None:
        self.of = of
        self.pulse_id_next = pulse_id_next
        self.asked: Asked | None = None
        self.bound: Bound | None = None
        self.bound_ns = 0
        self.clear_ns = 0
        self.fall_ns = 0
        self.shot: Shot | None = None
        # The lines of this turn, from its beginning on.
        self.seen = Inputs()

    def turn(self, now_ns: int, run: Run) -> None:
        """Move the run on; several rows may follow each other within one turn."""
        beam = self.of
        beam.cycle.window_rose(beam.inputs.window_rise_ns)
        if beam.state is BeamState.CALLED:
            self._arm(now_ns, run)
        if beam.state is BeamState.CLEARING:
            self._clear(now_ns)
        if beam.state is BeamState.READOUT:
            self._read_out(now_ns, run)
        if beam.state is BeamState.ARMED:
            self._prepare(now_ns, run)
        elif beam.state is BeamState.PULSE and now_ns >= self.fall_ns:
            self._fall(now_ns)

    def _arm(self, now_ns: int, run: Run) -> None:
        order = self.of.book.order
        if order is None:
            return
        self.clear_ns = now_ns
        self.of.cycle.start(order, now_ns, self.of.inputs.window_rise_ns)
        self.of.take(BeamEvent.ORDER)
        start = RunStart(run.run_id, run.mode, order.topology, order.period_num_ns,
                         order.period_den, now_ns)  # fmt: skip
        self.of.posts.append((Peer.IMAGING, start))

    def _clear(self, now_ns: int) -> None:
        beam = self.of
        if not beam.clears_first:
            beam.take(BeamEvent.CLEARED)
            return
        if now_ns < beam.cycle.due_ns - PERMIT_LEAD_NS - MS:
            return
        inputs = beam.inputs
        if self.clear_ns < inputs.window_rise_ns < inputs.window_fall_ns:
            beam.take(BeamEvent.CLEARED)
        else:
            beam.end_run(now_ns, EndReason.NO_IMAGE, "panel_did_not_clear")

    def _read_out(self, now_ns: int, run: Run) -> None:
        inputs, timing = self.of.inputs, self.of.timing
        closed = not inputs.levels & _WINDOW
        overdue_ns = inputs.window_rise_ns + timing.window_ns + WINDOW_LATE_NS
        if not closed and now_ns <= overdue_ns:
            return
        self.of.take(BeamEvent.WINDOW_CLOSED)
        if run.complete():
            self.of.end_run(now_ns, EndReason.COMPLETE)
        elif self.of.cycle.due_ns - self.of.cycle.prepare_lead_ns() <= now_ns:
            self._skip(now_ns, run, SkipReason.LATE)

    def _prepare(self, now_ns: int, run: Run) -> None:
        cycle = self.of.cycle
        if self.bound is None:
            if now_ns < cycle.bind_ns():
                return
            reason = self._lacks(now_ns, run, cycle.due_ns)
            order = self.of.book.order
            if reason is None and now_ns >= cycle.due_ns:
                reason = SkipReason.LATE
            if reason is not None or order is None:
                self._skip(now_ns, run, reason or SkipReason.NO_ORDER)
                return
            self.bound = bound_of(order)
            self.bound_ns = now_ns
            return
        if now_ns < cycle.due_ns:
            return
        reason = self._lacks_at_due(now_ns, run)
        if reason is not None:
            self._skip(now_ns, run, reason)
        else:
            self.fire(now_ns, run)

    def _lacks(self, now_ns: int, run: Run, start_ns: int) -> SkipReason | None:
        """What forbids a pulse at `start_ns`, as far as can be known before its window."""
        order = self.of.book.order
        if order is None:
            return SkipReason.NO_ORDER
        if not run.has_credit(order):
            return SkipReason.NO_CREDIT
        if not run.has_verdict():
            return SkipReason.NO_VERDICT
        if self.of.store.unread >= self.of.store.capacity:
            return SkipReason.BLACK_BOX
        # A renewal comes four times before an order ends, so at binding time only the order that
        # is held now is asked for; at due it must outlive the pulse.
        if now_ns >= start_ns and order.expires_ns <= self.of.cycle.planned_end_ns(now_ns, order):
            return SkipReason.NO_ORDER
        return None

    def _lacks_at_due(self, now_ns: int, run: Run) -> SkipReason | None:
        beam, inputs = self.of, self.of.inputs
        order = beam.book.order
        reason = self._lacks(now_ns, run, now_ns)
        if reason is not None or order is None:
            return reason or SkipReason.NO_ORDER
        if beam.cycle.is_late(now_ns):
            return SkipReason.LATE
        if not inputs.levels & _WINDOW:
            return SkipReason.NO_WINDOW
        if not beam.cycle.in_window(now_ns, order, inputs.window_rise_ns, inputs.window_fall_ns):
            return SkipReason.NO_FIT
        return None if self._hardware_agrees(now_ns, run, order) else SkipReason.GATE

    def _hardware_agrees(self, now_ns: int, run: Run, order: Order) -> bool:
        beam, levels = self.of, self.of.inputs.levels
        if beam.inhibited:
            return False
        return (
            levels & _HARDWARE == _HARDWARE
            and not levels & _XRAY
            and self.bound == bound_of(order)
            and now_ns - self.bound_ns >= BANK_SETTLE_NS
            and now_ns - run.last_start_ns >= beam.timing.spacing_min_ns
            and (run.mode is not Mode.HIGH_LEVEL or bool(levels & mask(In.TONE_READBACK)))
        )

    def ready_to_fire(self, now_ns: int, run: Run) -> bool:
        """True when a bound pulse lacks nothing at its due instant."""
        return self.bound is not None and self._lacks_at_due(now_ns, run) is None

    def fire(self, now_ns: int, run: Run) -> None:
        """PULSE rises on this turn: intent, counters, state."""
        beam = self.of
        order, bound = beam.book.order, self.bound
        assert order is not None
        assert bound is not None
        assert beam.state is BeamState.ARMED, "one way in"
        shot = Shot(run, order, bound, self.pulse_id_next)
        shot.slot_k = beam.cycle.slot_k
        shot.due_ns = beam.cycle.due_ns
        shot.start_ns = now_ns
        shot.window_open_ns = beam.inputs.window_rise_ns
        shot.window_ns = beam.timing.window_ns
        assert shot.due_ns <= now_ns, "never early"
        self.shot = shot
        self.fall_ns = now_ns + bound.set_us * US + PULSE_OVERHANG_NS
        self.asked = Asked(now_ns, 0, bound)
        self.pulse_id_next += 1
        run.fired += 1
        run.skip_streak = 0
        run.last_start_ns = now_ns
        beam.intent = shot.record(RecordState.INTENT)
        beam.take(BeamEvent.FIRE)

    def left(self, sent_ns: int) -> None:
        """PULSE has left for the lines; read-backs are timed from here on."""
        if self.shot is not None and self.asked is not None:
            self.shot.sent_ns = sent_ns
            self.asked = self.asked._replace(sent_ns=sent_ns)

    def rehearse(self, now_ns: int) -> Record | None:
        """What `_prepare` does at due, without effect; the intent that would be written."""
        run, order = self.of.run, self.of.book.order
        if run is None or order is None or self.bound is None:
            return None
        self._lacks_at_due(now_ns, run)
        return Shot(run, order, self.bound, self.pulse_id_next).record(RecordState.INTENT)

    def _fall(self, now_ns: int) -> None:
        self._close(now_ns, EndReason.SET)
        self.of.take(BeamEvent.FALL)
        self.of.book.release_parked(now_ns)
        self.of.cycle.next_slot(now_ns)

    def _close(self, now_ns: int, reason: EndReason) -> None:
        shot = self.shot
        assert shot is not None
        # What this turn brought: a run may end before anybody has looked at the lines (a stall).
        inputs = self.seen
        on_ns = inputs.xray_rise_ns if inputs.xray_rise_ns >= shot.start_ns else 0
        off_ns = inputs.xray_fall_ns if on_ns and inputs.xray_fall_ns > on_ns else 0
        self.of.closed = shot.record(RecordState.CLOSED, now_ns, reason, (on_ns, off_ns))
        report = shot.report(now_ns, reason)
        self.of.posts += [(Peer.SUPERVISOR, report), (Peer.IMAGING, report)]
        self.asked = Asked(shot.start_ns, now_ns, shot.bound, shot.sent_ns)
        self.shot = None
        self.bound = None

    def cut(self, now_ns: int, reason: EndReason) -> None:
        """The run ends: a pulse in progress is cut, a pulse in preparation forgotten."""
        if self.shot is not None:
            self._close(now_ns, reason)
        self.bound = None

    def _skip(self, now_ns: int, run: Run, reason: SkipReason) -> None:
        cycle = self.of.cycle
        skip = Skip(run.run_id, cycle.slot_k, cycle.due_ns, reason)
        self.of.posts += [(Peer.SUPERVISOR, skip), (Peer.IMAGING, skip)]
        run.skip(reason, 1)
        self.bound = None
        self.of.book.release_parked(now_ns)
        missed = cycle.next_slot(now_ns)
        if missed:
            run.skip(SkipReason.LATE, missed)

    def veto(self, now_ns: int, run: Run, code: str) -> None:
        """The last gate refused: the pulse never was; its slot is skipped."""
        assert self.shot is not None, code
        self.shot = None
        self.asked = None
        self.pulse_id_next -= 1
        run.fired -= 1
        self.of.take(BeamEvent.VETO)
        self._skip(now_ns, run, SkipReason.GATE)


def stray_record(inputs: Inputs, now_ns: int, run: Run | None) -> Record:
    """X-rays nobody asked for; the dose of it is the ledger's business."""
    on_ns = inputs.xray_rise_ns or now_ns
    off_ns = inputs.xray_fall_ns if inputs.xray_fall_ns > on_ns else 0
    return Record(
        kind=RecordKind.STRAY, state=RecordState.CLOSED, mode=0, bank=0,
        end_reason=REASONS.index(EndReason.TRIP), flags=0, pulse_n=0, technique_id=0, pulse_id=0,
        run_id=run.run_id if run else 0, order_seq=0, supervisor_epoch=0, due_ns=0, start_ns=0,
        end_ns=0, window_open_ns=0, window_close_ns=0, xray_on_ns=on_ns, xray_off_ns=off_ns,
        set_us=0,
    )  # fmt: skip
