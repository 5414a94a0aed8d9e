"""The canonical state of executive, gate and room: read off, and laid out again.

Theory of operation.  Every time is kept relative to now and not older than the longest threshold
that looks at it; a time that nothing in this state looks at is not kept.  Run ids, epochs and
sequence numbers are kept as "the present one" or "an older one".  Pulse numbers of a run are kept
as they are up to three and shifted down beyond, because every rule compares them with the number of
pulses fired.  What only feeds a report (counts of refusals, pulse ids, totals) is not kept.

Lives here: that form, both ways.  May not live here: moves, rules, or the plant's behaviour.
"""

from __future__ import annotations

from typing import Any, Final

from hil.explore.beam_eye import NONE, OLD, Eye, since
from hil.explore.beam_room import (
    BANKS,
    BOOT_ID,
    EPOCH,
    LONG_AGO_NS,
    NOW_NS,
    OF_A_RUN,
    PERIOD_NS,
    RUN_ID,
    SEQ,
    Note,
    Room,
    order_of,
)
from realtime.beam import ARMED_STATES, BeamState
from realtime.executive import CALLED_MAX_NS, Executive
from realtime.exercise import Exercising, Move
from realtime.inputs import Peer, Store
from realtime.irradiation import SignalState
from realtime.limits import (
    DISAGREE_MAX_NS,
    MS,
    PERMIT_PERIOD_NS,
    READBACK_MAX_NS,
    SIGNAL_EVERY_NS,
    S,
)
from realtime.orders import Bound
from realtime.pedals import _TIMERS, OnePedal
from realtime.permit import Gate
from realtime.run import Run, Shot
from realtime.watch import Asked, Readback
from realtime.wire.lines import In
from realtime.wire.messages import Mode, Order, Topology

FIRED_KEPT: Final = 2
_EXPLAINED_NS: Final = 3 * MS
_RUN_MAX_KEPT: Final = 1_000 * S
_BOUNDS: Final = {bank: Bound(9 + bank, bank, 4_000, 0, 1_000) for bank in (0, 1)}


class Frame:
    """Executive, gate, room and eye, with their canonical state."""

    def __init__(self, executive: Executive, gate: Gate, room: Room) -> None:
        self.executive = executive
        self.gate = gate
        self.room = room
        self.eye = Eye()
        self.now_ns = NOW_NS
        self._short_run = executive.timing.run_max_ns < _RUN_MAX_KEPT

    # Read ----------------------------------------------------------------------------------------

    def read(self) -> tuple[Any, ...]:
        """The canonical state now."""
        beam, now_ns = self.executive, self.now_ns
        run = beam.run
        shift = max(0, run.fired - FIRED_KEPT) if run is not None else 0
        return (
            (beam.state, tuple(sorted(beam.trips)), beam.cine_mode, *beam.links.values(),
             beam.last_turn_ns < 0, beam.outlines.permit, beam.outlines.bank, beam.outlines.sent),
            tuple(self._read_pedal(pedal) for pedal in beam.pedals.of.values()),
            self._read_run(run, shift),
            self._read_book(shift),
            self._read_firing(),
            self._read_readback(beam.tone), self._read_readback(beam.lamp),
            self._read_irradiation(),
            self._read_exercise(),
            self._read_rest(),
            self._read_gate(shift),
            self._read_room(shift),
            self.eye.read(now_ns, run is not None, shift, beam.timing.spacing_min_ns),
            since(beam.outlines.toggled_ns, now_ns, -PERMIT_PERIOD_NS)
            if beam.state in ARMED_STATES else -PERMIT_PERIOD_NS,
        )  # fmt: skip

    def _read_pedal(self, pedal: OnePedal) -> tuple[Any, ...]:
        at = since(pedal.since_ns, self.now_ns) if pedal.state in _TIMERS else 0
        crossed = pedal.crossed_since_ns
        kept = NONE if crossed < 0 else since(crossed, self.now_ns, -DISAGREE_MAX_NS - 1)
        return pedal.state, at, kept

    def _read_rest(self) -> tuple[int, bool]:
        pedals = self.executive.pedals
        rest_ns = pedals._rest_since_ns
        kept = NONE if rest_ns < 0 or pedals._rested else since(rest_ns, self.now_ns, -50 * MS)
        return kept, pedals._rested

    def _read_run(self, run: Run | None, shift: int) -> tuple[Any, ...] | None:
        if run is None:
            return None
        now_ns, age_ns = self.now_ns, self.now_ns - run.start_ns
        if self.executive.state is BeamState.CALLED:
            age_ns = 0 if age_ns < CALLED_MAX_NS - S else min(age_ns, CALLED_MAX_NS + 1)
        elif self._short_run:
            age_ns = min(age_ns, self.executive.timing.run_max_ns + 1)
        else:
            age_ns = 0
        spacing = -self.executive.timing.spacing_min_ns
        return (
            run.pedal, run.mode, run.fired - shift, run.skip_streak,
            max(-1, run.last_valid_n - shift), max(-1, run.verdict_n - shift),
            min(run.invalid_streak, 3), age_ns,
            since(run.last_start_ns, now_ns, spacing),
        )  # fmt: skip

    def _read_order(self, order: Order | None, shift: int) -> tuple[int, int, int] | None:
        if order is None:
            return None
        return order.bank, min(order.last_pulse_n - shift, FIRED_KEPT + 2), (
            since(order.expires_ns, self.now_ns)
        )  # fmt: skip

    def _read_book(self, shift: int) -> tuple[Any, ...]:
        book = self.executive.book
        parked = book._parked[0] if book._parked is not None else None
        return (book.state, book.run_id != 0, self._read_order(book.order, shift),
                self._read_order(parked, shift), book._fixed)  # fmt: skip

    def _read_firing(self) -> tuple[Any, ...]:
        beam, now_ns = self.executive, self.now_ns
        firing, cycle, state = beam.firing, beam.cycle, beam.state
        asked, shot = firing.asked, firing.shot
        if asked is not None and asked.fall_ns and now_ns - asked.fall_ns > _EXPLAINED_NS:
            # A pulse long over explains no X-rays, like none at all.
            asked = None if not self.room.levels >> In.XRAY_ON & 1 else asked
        return (
            None if asked is None else (
                since(asked.start_ns, now_ns, -20 * MS),
                NONE if asked.fall_ns == 0 else since(asked.fall_ns, now_ns, -20 * MS),
                asked.bound.bank,
            ),
            None if firing.bound is None else (firing.bound.bank,
                                               since(firing.bound_ns, now_ns, -10 * MS)),
            since(firing.clear_ns, now_ns) if state is BeamState.CLEARING else 0,
            firing.fall_ns - now_ns if state is BeamState.PULSE else 0,
            None if shot is None else (shot.bound.bank, since(shot.start_ns, now_ns)),
            NONE if cycle.due_ns == 0 else since(cycle.due_ns, now_ns),
            cycle.due_ns != 0, cycle.windows,
        )  # fmt: skip

    def _read_readback(self, readback: Readback) -> tuple[int, bool]:
        differs_ns = readback._differs_since_ns
        kept = NONE if differs_ns < 0 else since(differs_ns, self.now_ns, -READBACK_MAX_NS - 1)
        return kept, readback.failed

    def _read_irradiation(self) -> tuple[Any, ...]:
        signal = self.executive.irradiation
        left_ns = signal.next_signal_ns - signal.total_ns
        sounding = signal.state is SignalState.SOUNDING
        return (signal.state, signal._last_ns >= 0, left_ns if left_ns <= S else S + 1,
                since(signal.until_ns, self.now_ns) if sounding else 0)  # fmt: skip

    def _read_exercise(self) -> tuple[Any, ...] | None:
        exercise, now_ns = self.executive.exercise, self.now_ns
        if exercise is None:
            return None
        wake_ns = self.executive.outlines.move.wake_ns
        return (exercise.what, exercise.start_ns - now_ns, exercise._phase,
                exercise._mark_ns - now_ns, exercise._toggles, bool(exercise._seen),
                exercise._tries, wake_ns - now_ns if wake_ns > now_ns else 0)  # fmt: skip

    def _read_gate(self, shift: int) -> tuple[Any, ...]:
        gate, run = self.gate, self.executive.run
        present = run is not None and gate._run_id == run.run_id
        pulsing = self.executive.state is BeamState.PULSE
        # No pulse within its spacing of another one can come of a new press.
        last_ns = since(gate._last_pulse_ns, self.now_ns, -gate._spacing_ns)
        return (present, gate._granted - shift if present else 0,
                last_ns if run is not None else -gate._spacing_ns,
                gate._contacts if pulsing else (0, 1), gate._epoch == self.executive.book.epoch,
                )  # fmt: skip

    def _read_room(self, shift: int) -> tuple[Any, ...]:
        room, beam, now_ns = self.room, self.executive, self.now_ns
        times = (room.mono_ns, room.opens_ns, room.closes_ns, room.xray_off_ns)
        mail = tuple(self._read_note(note, shift) for note in room.mail)
        return (room.levels, room.link, room.unread, room.toggles, room.healthy,
                tuple(at - now_ns if at else 0 for at in times),
                self._read_stamps(beam.state), mail)  # fmt: skip

    def _read_note(self, note: Note, shift: int) -> Note:
        book, run = self.executive.book, self.executive.run
        present = run is not None and run.run_id == RUN_ID + note.run
        if not present and note.kind in OF_A_RUN:
            # Void for being of another run and for nothing else: the rest is as good as can be.
            if note.kind in BANKS:
                return Note("order", -1, 0, 1, FIRED_KEPT, PERIOD_NS)
            return Note(note.kind, -1)
        timed = note.expires_ns != 0
        return Note(
            note.kind,
            0,
            max(-1, EPOCH + note.epoch - book.epoch),
            max(0, SEQ + note.seq - book.seq) if timed else 0,
            min(note.n - shift, FIRED_KEPT + 2) if present else 0,
            since(note.expires_ns, self.now_ns, -1) if timed else 0,
        )

    def _read_stamps(self, state: BeamState) -> tuple[int, ...]:
        rise, fall, xray_rise, xray_fall = (since(t, self.now_ns) for t in self.room.stamps)
        free = self.executive.timing.topology is Topology.PANEL_MASTER
        if rise <= fall and state is not BeamState.CLEARING:
            rise, fall = (rise, fall) if free else (OLD, OLD)
        if state not in ARMED_STATES and not free:
            rise = fall = OLD
        if state is not BeamState.PULSE:
            xray_rise = xray_fall = OLD
        return rise, fall, xray_rise, xray_fall

    # Lay -----------------------------------------------------------------------------------------

    def lay(self, state: tuple[Any, ...]) -> None:
        """Make everything be as `state` says, at NOW_NS."""
        self.now_ns = NOW_NS
        beam = self.executive
        (now, pedals, run, book, firing, tone, lamp, signal, exercise, rest, gate, room, eye,
         toggled) = state  # fmt: skip
        beam.state, trips, beam.cine_mode = now[0], now[1], now[2]
        beam.trips = list(trips)
        beam.links = dict(zip(Peer, now[3:5], strict=True))
        beam.last_turn_ns = -1 if now[5] else NOW_NS
        outlines = beam.outlines
        outlines.permit, outlines.bank, outlines.sent = now[6], now[7], now[8]
        outlines.toggled_ns = NOW_NS + toggled
        for pedal, (at, at_ns, crossed) in zip(beam.pedals._items, pedals, strict=True):
            pedal.state, pedal.since_ns = at, NOW_NS + at_ns
            pedal.crossed_since_ns = -1 if crossed == NONE else NOW_NS + crossed
        beam.pedals.up_since_ns = NOW_NS if beam.pedals.all_up() else -1
        beam.pedals.stir()
        beam.pedals._rested = rest[1]
        beam.pedals._rest_since_ns = -1 if rest[0] == NONE else NOW_NS + rest[0]
        self._lay_run(run)
        self._lay_book(book)
        self._lay_firing(firing)
        for readback, (differs, failed) in ((beam.tone, tone), (beam.lamp, lamp)):
            readback._differs_since_ns = -1 if differs == NONE else NOW_NS + differs
            readback.failed = failed
        self._lay_irradiation(signal)
        self._lay_exercise(exercise)
        self._lay_gate(gate)
        self._lay_room(room)
        self.eye.lay(eye)
        beam.inputs = self.room.inputs()
        beam.store = Store(self.room.unread, 4)
        beam.inhibits = []
        beam.state_due_ns = NOW_NS + 1_000_000 * S
        beam.mail._counts.clear()
        beam.mail._reported_ns.clear()
        beam.begin_outputs()

    def _lay_run(self, kept: tuple[Any, ...] | None) -> None:
        beam = self.executive
        beam.run_count = (RUN_ID - (BOOT_ID << 20)) - (kept is None)
        if kept is None:
            beam.run = None
            return
        pedal, mode, fired, streak, valid, verdict, invalid, age_ns, last_start = kept
        run = Run(RUN_ID, pedal, mode, NOW_NS - age_ns)
        run.fired, run.skip_streak, run.last_valid_n = fired, streak, valid
        run.verdict_n, run.invalid_streak = verdict, invalid
        run.last_start_ns = NOW_NS + last_start
        beam.run = run

    def _order(self, kept: tuple[int, int, int]) -> tuple[Order, bytes]:
        run = self.executive.run
        mode = run.mode if run is not None else Mode.FLUORO
        return order_of(RUN_ID, EPOCH, SEQ, mode, kept[0], kept[1], NOW_NS + kept[2],
                        self.executive.timing.topology)  # fmt: skip

    def _lay_book(self, kept: tuple[Any, ...]) -> None:
        book = self.executive.book
        book.state, has_run, order, parked, book._fixed = kept
        book.run_id = RUN_ID if has_run else 0
        book.epoch, book.seq = EPOCH, SEQ
        book.order, book.raw = self._order(order) if order is not None else (None, b"")
        book._parked = self._order(parked) if parked is not None else None

    def _lay_firing(self, kept: tuple[Any, ...]) -> None:
        beam = self.executive
        firing, cycle = beam.firing, beam.cycle
        asked, bound, clear, fall, shot, due, going, windows = kept
        firing.asked = None if asked is None else Asked(
            NOW_NS + asked[0], 0 if asked[1] == NONE else NOW_NS + asked[1], _BOUNDS[asked[2]]
        )  # fmt: skip
        firing.bound = None if bound is None else _BOUNDS[bound[0]]
        firing.bound_ns = NOW_NS + bound[1] if bound is not None else 0
        firing.clear_ns, firing.fall_ns = NOW_NS + clear, NOW_NS + fall
        firing.pulse_id_next = 1
        firing.shot = None
        if shot is not None:
            assert beam.run is not None
            firing.shot = Shot(beam.run, self._order((shot[0], 0, 0))[0], _BOUNDS[shot[0]], 1)
            firing.shot.start_ns = NOW_NS + shot[1]
        cycle.stop()
        if going:
            cycle.due_ns = cycle.epoch_ns = NOW_NS + due
            cycle.slot_k, cycle.num_ns, cycle.den, cycle.windows = 0, 40 * MS, 1, windows

    def _lay_irradiation(self, kept: tuple[Any, ...]) -> None:
        signal = self.executive.irradiation
        signal.state, going, left_ns, until = kept
        signal._last_ns = NOW_NS if going else -1
        signal.next_signal_ns = SIGNAL_EVERY_NS
        signal.total_ns = 0 if left_ns > S else SIGNAL_EVERY_NS - left_ns
        signal.until_ns = NOW_NS + until

    def _lay_exercise(self, kept: tuple[Any, ...] | None) -> None:
        beam = self.executive
        beam.outlines.move = Move()
        if kept is None:
            beam.exercise = None
            return
        what, start, phase, mark, toggles, seen, tries, wake = kept
        exercise = Exercising(1, what, NOW_NS + start, beam.timing)
        exercise._phase, exercise._mark_ns = phase, NOW_NS + mark
        exercise._toggles, exercise._seen, exercise._tries = toggles, int(seen), tries
        beam.outlines.move = Move(wake_ns=NOW_NS + wake if wake else 0)
        beam.exercise = exercise

    def _lay_gate(self, kept: tuple[Any, ...]) -> None:
        gate = self.gate
        present, gate._granted, last, gate._contacts, same_epoch = kept
        gate._run_id = RUN_ID if present else RUN_ID - 1
        gate._last_pulse_ns = NOW_NS + last
        gate._epoch = EPOCH if same_epoch else EPOCH - 1
        gate._order_raw, gate._order = b"", {}

    def _lay_room(self, kept: tuple[Any, ...]) -> None:
        room = self.room
        room.levels, room.link, room.unread, room.toggles, room.healthy = kept[:5]
        room.mono_ns, room.opens_ns, room.closes_ns, room.xray_off_ns = (
            NOW_NS + at if at else 0 for at in kept[5]
        )
        room.stamps = [NOW_NS + at if at > OLD else LONG_AGO_NS for at in kept[6]]
        room.mail = tuple(
            note._replace(expires_ns=NOW_NS + note.expires_ns) if note.kind in BANKS else note
            for note in kept[7]
        )
        room.epoch = 1
        room.edges = room.xray_rises = 0
