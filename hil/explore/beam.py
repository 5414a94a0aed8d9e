"""The beam under exploration: the shipped turn of executive and last gate, and what may happen.

Theory of operation.  One move is one thing the environment does, with the turns that follow from
it.  *wait* lets time pass to the next armed threshold; *late* comes 1 ms after it; *stall* is away
longer than the executive may be; *at next* does something on the very turn of the threshold.
Everything else happens right after the present turn.  A study fixes the vocabulary, so that each
search ends; together the studies offer every event at every state.

Lives here: moves and their turns.  May not live here: studies, rules, canonical form, plant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hil.explore.beam_acts import ACTS
from hil.explore.beam_room import (
    BOOT_ID,
    EPOCH,
    NOW_NS,
    OUTLIVES_NS,
    PERIOD_NS,
    SET_US,
    TAIL_US,
    Note,
    Room,
    letter_of,
)  # fmt: skip
from hil.explore.beam_rules import RULES, judge, watch
from hil.explore.beam_state import Frame
from hil.explore.beam_studies import Study
from realtime.beam import ARMED_STATES, BeamState
from realtime.executive import CALLED_MAX_NS, Executive
from realtime.inputs import Outputs, Peer, Store
from realtime.irradiation import SignalState
from realtime.limits import MS, SIGNAL_EVERY_NS, SPIN_NS, STALL_NS, US
from realtime.permit import Gate
from realtime.trips import TripCode
from realtime.turn import strike, turn
from realtime.wire.lines import Out
from realtime.wire.messages import Mode, Pedal, Topology

_TURNS_MAX: Final = 6
_RESTS_MAX: Final = 200  # the longest threshold at rest is the signal's 2 s
_PULSE: Final = 1 << Out.PULSE


class Beam:
    """The subject of the search."""

    always: Mapping[str, int | str] = RULES

    def __init__(self, study: Study) -> None:
        self.name = f"executive: {study.name}"
        self.study = study
        timing = study.timing
        latched = [TripCode.UNCLEAN] if study.latched else []
        executive = Executive(timing, BOOT_ID, 1, latched, [], study.inhibited)
        gate = Gate(timing.spacing_min_ns, timing.width_cap_ns // US, study.inhibited)
        executive.book.epoch = EPOCH
        executive.links = dict.fromkeys(Peer, "peers up" not in study.acts)
        executive.last_turn_ns = NOW_NS
        if study.near_signal:
            executive.irradiation.total_ns = SIGNAL_EVERY_NS - 60 * MS
        room = Room(timing)
        if timing.topology is Topology.PANEL_MASTER:
            room.opens_ns = NOW_NS + 5 * MS
        self.frame = Frame(executive, gate, room)
        self._exact = False
        # Cine is the foot's way to a pulse where a study knows no other pedal.
        press = {"press fluoro", "press high"} & set(study.acts) or {"press cine"}
        self.well = frozenset(press | {
            "wait", "lift all", "close all", "plug", "repair", "peers up", "empty the box",
            "release cine", "release fluoro", "deliver",
            "send order", "send verdict_valid", "send reset",
            "hand order", "hand verdict_valid", "hand reset", "hand exercise tone_lamp",
        })  # fmt: skip

    # The search's side ---------------------------------------------------------------------------

    def starts(self) -> list[Any]:
        """Boot, with the pedals not yet seen."""
        return [self.frame.read()]

    def lay(self, state: Any) -> None:
        """See `search.Subject`."""
        self.frame.lay(state)

    def read(self) -> Any:
        """See `search.Subject`."""
        return self.frame.read()

    def marks(self) -> tuple[str, ...]:
        """States of the small machines."""
        beam = self.frame.executive
        return (
            f"beam {beam.state.value}", f"order {beam.book.state.value}",
            f"pedal {beam.pedals.of[Pedal.FLUORO].state.value}",
            f"signal {beam.irradiation.state.value}",
            *(f"trip {code.value}" for code in beam.trips),
        )  # fmt: skip

    def moves(self) -> tuple[str, ...]:
        """What may happen now."""
        study, room = self.study, self.frame.room
        moves = ["wait"]
        state = self.frame.executive.state
        if study.late and state in ARMED_STATES:
            moves += ["late", "stall"] if self._lateness_matters() else ["stall"]
        moves += [act for act in study.acts if self._possible(act)]
        moves += [f"at next {act}" for act in study.at_next if self._possible(act)]
        if not room.mail:
            moves += [f"hand {kind}" for kind in study.direct if self._sendable(kind)]
        if len(room.mail) < study.mailbox:
            moves += [f"send {kind}" for kind in study.letters if self._sendable(kind)]
        if room.mail:
            moves += ["deliver", "at next deliver"]
        if self.frame.executive.state is BeamState.CALLED and "age" in study.acts:
            moves.append("age")
        return tuple(moves)

    def _lateness_matters(self) -> bool:
        """The next threshold is one that a late turn may miss: binding, due, the fall."""
        beam, next_ns = self.frame.executive, self._next_ns()
        if beam.state is BeamState.PULSE:
            return next_ns == beam.firing.fall_ns
        return beam.cycle.due_ns != 0 and next_ns in (beam.cycle.due_ns, beam.cycle.bind_ns())

    def _sendable(self, kind: str) -> bool:
        run = self.frame.executive.run
        if kind.startswith("order"):
            return run is not None
        return not kind.startswith("verdict") or (run is not None and run.fired > 0)

    def _possible(self, act: str) -> bool:
        if act == "age":
            return False
        room, beam = self.frame.room, self.frame.executive
        sounding = beam.irradiation.state is SignalState.SOUNDING
        if self.study.near_signal and sounding and act.startswith("press"):
            return False  # a new run leaves the signal's 2 s as they are
        stamps = list(room.stamps)
        kept = room.levels, room.link, room.healthy, room.unread, room.epoch, beam.links
        ACTS[act](self.frame)
        changed = kept != (room.levels, room.link, room.healthy, room.unread, room.epoch,
                           beam.links) or room.edges != 0  # fmt: skip
        room.levels, room.link, room.healthy, room.unread, room.epoch, beam.links = kept
        room.stamps, room.edges, room.xray_rises = stamps, 0, 0
        return changed

    def make(self, move: str) -> tuple[str, ...]:
        """See `search.Subject`."""
        frame = self.frame
        try:
            if move.startswith("send "):
                frame.room.mail = (*frame.room.mail, self._note(move[5:]))
                return ()
            return tuple(self._make(move))
        except Exception as error:  # noqa: BLE001 - whatever the shipped turn raises is a finding
            return (f"no assertion of ours fails ({type(error).__name__}: {error})",)

    # Turns ---------------------------------------------------------------------------------------

    def _make(self, move: str) -> list[str]:
        frame = self.frame
        note: Note | None = None
        if move == "wait" or move.startswith("at next "):
            broken = self._rest()
            if broken:
                return broken
            frame.now_ns = self._next_ns()
        elif move == "late":
            frame.now_ns = self._next_ns() + 1 * MS
        elif move == "stall":
            frame.now_ns += STALL_NS + 1 * MS
        elif move == "age":
            assert frame.executive.run is not None
            frame.executive.run.start_ns = NOW_NS - CALLED_MAX_NS
            frame.now_ns += 1 * MS
        frame.room.advance(frame.now_ns)
        act = move.removeprefix("at next ")
        if act == "deliver":
            note, frame.room.mail = frame.room.mail[0], frame.room.mail[1:]
        elif act.startswith("hand "):
            note = self._note(act[5:])
        elif act in ACTS:
            ACTS[act](self.frame)
            frame.room.chain(frame.now_ns)
        return self._turns(note)

    def _rest(self) -> list[str]:
        """Turns at which nothing is due, as often as the loop must turn to be awake."""
        frame = self.frame
        for _ in range(_RESTS_MAX):
            threshold_ns = self._threshold_ns()
            if threshold_ns is None or threshold_ns <= frame.now_ns + STALL_NS:
                return []
            frame.now_ns += STALL_NS
            broken = self._turns(None)
            if broken:
                return broken
        return []

    def _next_ns(self) -> int:
        """The next threshold, at most as far as a turn may be away."""
        latest_ns = self.frame.now_ns + STALL_NS
        threshold_ns = self._threshold_ns()
        return latest_ns if threshold_ns is None else min(threshold_ns, latest_ns)

    def _threshold_ns(self) -> int | None:
        """The next threshold that somebody has armed."""
        frame, beam, now_ns = self.frame, self.frame.executive, self.frame.now_ns
        wake_ns = beam.outlines.wake_ns(beam, now_ns)
        due_ns = beam.cycle.due_ns
        if beam.state is BeamState.ARMED and wake_ns == due_ns - SPIN_NS:
            wake_ns = due_ns  # the rehearsal changes nothing
        order = beam.book.order
        times = [wake_ns, beam.pedals.wake_ns(), frame.room.next_ns(),
                 order.expires_ns if order is not None else None,
                 beam.irradiation.wake_ns(now_ns) if self.study.near_signal else None]  # fmt: skip
        armed = [at for at in times if at is not None and at > now_ns]
        # Thresholds of the kind "longer than" lie 1 ns beyond: the environment keeps to its ms.
        return -(-min(armed) // MS) * MS if armed else None

    def _turns(self, note: Note | None) -> list[str]:
        broken: list[str] = []
        for n in range(_TURNS_MAX):
            broken += self._turn(note if n == 0 else None)
            room = self.frame.room
            if broken or not (room.edges or room.xray_rises):
                break
        return broken

    def _turn(self, note: Note | None) -> list[str]:
        frame = self.frame
        beam, gate, room, now_ns = frame.executive, frame.gate, frame.room, frame.now_ns
        watch(frame)
        before = beam.state, beam.run
        lines_before = beam.outlines.sent
        inputs, packet = room.inputs(), room.packet()
        mail = []
        if note is not None:
            mode = beam.run.mode if beam.run is not None else Mode.FLUORO
            mail = [letter_of(note, mode, beam.timing.topology)]
            self._look(note)
        out: Outputs | None = None
        if note is None and beam.state is BeamState.ARMED and now_ns == beam.cycle.due_ns:
            out = strike(beam, gate, now_ns, inputs, packet, now_ns)
        if out is None:
            withdrawn = ""
            if lines_before & _PULSE and beam.exercise is None:
                withdrawn = gate.withdraws(now_ns, packet, now_ns)
                if withdrawn:
                    beam.outlines.sent &= ~_PULSE
            book = beam.book
            kept = (None, book.order, book._parked[0] if book._parked is not None else None)
            out = turn(beam, gate, now_ns, inputs, mail, Store(room.unread, 4), packet, now_ns,
                       withdrawn)  # fmt: skip
            if note is not None and _foreign(note) and beam.book.order not in kept:
                return ["only a letter of the present run and epoch can become the order"]
        broken = judge(frame, before, lines_before, out.lines, note)
        room.apply(lines_before, out.lines, now_ns)
        return broken

    def _look(self, note: Note) -> None:
        eye, run = self.frame.eye, self.frame.executive.run
        of_run = note.kind == "verdict_valid" and note.run == 0 and run is not None
        if of_run and note.n < eye.rises:
            eye.valid_n = max(eye.valid_n, note.n)

    # Letters -------------------------------------------------------------------------------------

    def _note(self, kind: str) -> Note:
        frame, beam = self.frame, self.frame.executive
        run = beam.run
        fired = run.fired if run is not None else 0
        if kind.startswith("order"):
            seq = 1 + sum(note.expires_ns != 0 for note in frame.room.mail)
            credit = fired - 1 if kind == "order_spent" else fired + 1
            due_ns = beam.cycle.due_ns or frame.now_ns + PERIOD_NS
            if due_ns <= frame.now_ns:
                due_ns += PERIOD_NS
            end_ns = due_ns + (SET_US + TAIL_US) * US
            return Note(kind, 0, 0, seq, credit, end_ns + OUTLIVES_NS[kind])
        if kind.startswith("verdict"):
            return Note(kind, 0, 0, 0, fired - 1)
        return Note(kind)


def _foreign(note: Note) -> bool:
    return note.run != 0 or note.epoch != 0 or note.seq == 0
