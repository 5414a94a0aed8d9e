"""The beam under exploration: the shipped turn of executive and last gate, and what may happen.

Theory of operation.  One move is one thing the environment does, with the turns that follow from
it.  *wait* lets time pass to the next armed threshold; *late* comes 1 ms after it; *stall* is away
longer than the executive may be; *at next* does something on the very turn of the threshold.
Everything else happens right after the present turn.  A study fixes the vocabulary, so that each
search ends; together the studies offer every event at every state.

Lives here: moves and their turns.  May not live here: rules, the canonical form, the plant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from hil.explore.beam_room import BOOT_ID, EPOCH, NOW_NS, OUTLIVES_NS, PERIOD_NS, RESTING, SET_US, TAIL_US, TRIGGERED, Note, Room
from hil.explore.beam_rules import CONTACTS, RULES, judge, watch
from hil.explore.beam_state import Frame
from realtime.beam import ARMED_STATES, BeamState
from realtime.executive import CALLED_MAX_NS, Executive
from realtime.inputs import Outputs, Peer, Store
from realtime.limits import MS, SIGNAL_EVERY_NS, SPIN_NS, STALL_NS, US, Timing
from realtime.permit import Gate
from realtime.trips import TripCode
from realtime.turn import strike, turn
from realtime.wire.lines import In, Out
from realtime.wire.messages import Exercise, Mode, Pedal, Topology

from hil.explore.beam_room import letter_of

WELL: Final = frozenset({"panel", "generator", "monostable", "lamp", "tone"})
_TURNS_MAX: Final = 6
_PULSE: Final = 1 << Out.PULSE


@dataclass(frozen=True)
class Study:
    """One vocabulary: what the environment may do, and how many letters may be under way."""

    name: str
    acts: tuple[str, ...]
    letters: tuple[str, ...]
    at_next: tuple[str, ...] = ()
    mailbox: int = 1
    timing: Timing = TRIGGERED
    late: bool = True
    direct: tuple[str, ...] = ()
    latched: bool = False
    near_signal: bool = False
    inhibited: bool = False


class Beam:
    """The subject of the search."""

    always = RULES

    def __init__(self, study: Study) -> None:
        self.name = f"executive: {study.name}"
        self.study = study
        timing = study.timing
        latched = [TripCode.UNCLEAN] if study.latched else []
        executive = Executive(timing, BOOT_ID, 1, latched, [], study.inhibited)
        gate = Gate(timing.spacing_min_ns, timing.width_cap_ns // US, study.inhibited)
        executive.book.epoch = EPOCH
        executive.links = {peer: "peers up" not in study.acts for peer in Peer}
        executive.last_turn_ns = NOW_NS
        if study.near_signal:
            executive.irradiation.total_ns = SIGNAL_EVERY_NS - 60 * MS
        room = Room(timing)
        if timing.topology is Topology.PANEL_MASTER:
            room.opens_ns = NOW_NS + 5 * MS
        self.frame = Frame(executive, gate, room)
        self._exact = False
        self.well = frozenset({
            "wait", "lift all", "close all", "plug", "repair", "peers up", "empty the box",
            "press fluoro", "deliver", "send order", "send verdict_valid", "send reset",
        })  # fmt: skip
        self._kept_well = tuple(sorted(self.well & set(study.acts)))

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
        stamps = list(room.stamps)
        kept = room.levels, room.link, room.healthy, room.unread, room.epoch, beam.links
        ACTS[act](self)
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
        except AssertionError as error:
            return (f"no assertion of ours fails ({error})",)

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
            ACTS[act](self)
            frame.room.chain(frame.now_ns)
        return self._turns(note)

    def _rest(self) -> list[str]:
        """Turns at which nothing is due, as often as the loop must turn to be awake."""
        frame = self.frame
        for _ in range(_TURNS_MAX):
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
        if note.kind == "verdict_valid" and note.run == 0 and run is not None:
            if note.n < eye.rises:
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


def _contact(pedal: Pedal, no_level: int, nc_level: int) -> Callable[[Beam], None]:
    no, nc = CONTACTS[pedal]

    def act(beam: Beam) -> None:
        beam.frame.room.put(no, no_level, beam.frame.now_ns)
        beam.frame.room.put(nc, nc_level, beam.frame.now_ns)

    return act


def _line(bit: In, level: int) -> Callable[[Beam], None]:
    return lambda beam: beam.frame.room.put(bit, level, beam.frame.now_ns)


def _flicker(bit: In) -> Callable[[Beam], None]:
    def act(beam: Beam) -> None:
        room = beam.frame.room
        if room.levels >> bit & 1:
            room.edges |= 1 << bit

    return act


def _lift(beam: Beam) -> None:
    for no, nc in CONTACTS.values():
        beam.frame.room.put(no, 0, beam.frame.now_ns)
        beam.frame.room.put(nc, 1, beam.frame.now_ns)


def _close(beam: Beam) -> None:
    for bit in In:
        if RESTING >> bit & 1 and In.ESTOP <= bit <= In.PANEL_READY:
            beam.frame.room.put(bit, 1, beam.frame.now_ns)


def _link(link: bool) -> Callable[[Beam], None]:
    def act(beam: Beam) -> None:
        room = beam.frame.room
        room.epoch += link and not room.link
        room.link = link

    return act


def _peers(*up: Peer) -> Callable[[Beam], None]:
    def act(beam: Beam) -> None:
        executive = beam.frame.executive
        executive.links = {peer: peer in up for peer in Peer}

    return act


def _health(name: str, well: bool) -> Callable[[Beam], None]:
    def act(beam: Beam) -> None:
        room = beam.frame.room
        if room.healthy == WELL:  # one device is broken at a time
            room.healthy = WELL | {name} if well else WELL - {name}

    return act


def _repair(beam: Beam) -> None:
    room = beam.frame.room
    room.healthy = WELL
    if not room.xray_off_ns:
        room.put(In.XRAY_ON, 0, beam.frame.now_ns)
    sent = beam.frame.executive.outlines.sent
    room.put(In.TONE_READBACK, sent >> Out.TONE & 1, beam.frame.now_ns)
    room.put(In.LAMP_READBACK, sent >> Out.LAMP & 1, beam.frame.now_ns)


def _unread(records: int) -> Callable[[Beam], None]:
    def act(beam: Beam) -> None:
        beam.frame.room.unread = records

    return act


ACTS: Final[dict[str, Callable[[Beam], None]]] = {
    "press fluoro": _contact(Pedal.FLUORO, 1, 0),
    "release fluoro": _contact(Pedal.FLUORO, 0, 1),
    "cross fluoro": _contact(Pedal.FLUORO, 0, 0),
    "weld fluoro": _contact(Pedal.FLUORO, 1, 1),
    "press cine": _contact(Pedal.CINE, 1, 0),
    "release cine": _contact(Pedal.CINE, 0, 1),
    "press high": _contact(Pedal.HIGH, 1, 0),
    "release high": _contact(Pedal.HIGH, 0, 1),
    "lift all": _lift,
    "open door": _line(In.DOOR, 0),
    "pull e-stop": _line(In.ESTOP, 0),
    "flicker door": _flicker(In.DOOR),
    "flicker e-stop": _flicker(In.ESTOP),
    "close all": _close,
    "unplug": _link(False),
    "plug": _link(True),
    "peers up": _peers(*Peer),
    "imaging gone": _peers(Peer.SUPERVISOR),
    "stray X-rays": _line(In.XRAY_ON, 1),
    "X-rays stop": _line(In.XRAY_ON, 0),
    "window opens": _line(In.WINDOW, 1),
    "window closes": _line(In.WINDOW, 0),
    "panel dead": _health("panel", False),
    "generator dead": _health("generator", False),
    "monostable dead": _health("monostable", False),
    "lamp dead": _health("lamp", False),
    "tone dead": _health("tone", False),
    "X-rays stick": _health("xray_sticks", True),
    "repair": _repair,
    "box half full": _unread(3),
    "box full": _unread(4),
    "empty the box": _unread(0),
}
_HAND: Final = ("press fluoro", "release fluoro", "lift all", "close all")
_CALM: Final = ("order", "verdict_valid")
CONTACTS_STUDY: Final = Study(
    "contacts and interlocks",
    acts=(*_HAND, "cross fluoro", "open door", "pull e-stop", "flicker door", "flicker e-stop",
          "unplug", "plug", "age"),
    letters=(), direct=(*_CALM, "reset"), at_next=("release fluoro", "pull e-stop"),
)  # fmt: skip
PEDALS_STUDY: Final = Study(
    "two pedals",
    acts=("press fluoro", "release fluoro", "press cine", "release cine"),
    letters=(), direct=("order", "verdict_valid"), late=False,
)  # fmt: skip
LETTERS_STUDY: Final = Study(
    "letters",
    acts=("press fluoro", "lift all"),
    letters=("order", "order_other", "dark", "verdict_valid", "verdict_invalid"), late=False,
)  # fmt: skip
LEASES_STUDY: Final = Study(
    "leases and credit",
    acts=("press fluoro", "lift all", "box full", "empty the box"), letters=(),
    direct=("order", "order_spent", "order_brief", "verdict_valid", "hello", "dark"),
)  # fmt: skip
DEVICES_STUDY: Final = Study(
    "devices",
    acts=("press fluoro", "lift all", "stray X-rays", "window closes", "panel dead",
          "generator dead", "monostable dead", "X-rays stick", "repair"),
    letters=(), direct=(*_CALM, "reset"),
)  # fmt: skip
FREE_STUDY: Final = Study(
    "free-running panel",
    acts=("press fluoro", "lift all", "panel dead", "repair"), letters=(), direct=_CALM,
    late=False, timing=replace(TRIGGERED, topology=Topology.PANEL_MASTER),
)  # fmt: skip
SIGNAL_STUDY: Final = Study(
    "five-minute signal",
    acts=("press fluoro", "lift all"), letters=(), direct=(*_CALM, "reset_timer"),
    near_signal=True, late=False,
)  # fmt: skip
READBACK_STUDY: Final = Study(
    "high level and read-backs",
    acts=("press high", "lift all", "tone dead", "lamp dead", "repair"),
    letters=(), direct=(*_CALM, "reset"), late=False,
)  # fmt: skip
SHORT_STUDY: Final = Study(
    "longest run",
    acts=("press fluoro", "lift all", "imaging gone", "peers up"), letters=(),
    direct=(*_CALM, "reset"), timing=replace(TRIGGERED, run_max_ns=130 * MS), late=False,
)  # fmt: skip
SELF_TEST_STUDY: Final = Study(
    "self-test",
    acts=("press fluoro", "lift all"), letters=(),
    direct=tuple(f"exercise {what.value}" for what in Exercise), late=False,
)  # fmt: skip
LATCHED_STUDY: Final = Study(
    "latched at start, first light",
    acts=("press fluoro", "lift all"), letters=(), direct=(*_CALM, "reset"), latched=True,
    inhibited=True,
)  # fmt: skip
STUDIES: Final = (
    CONTACTS_STUDY, PEDALS_STUDY, LETTERS_STUDY, LEASES_STUDY, DEVICES_STUDY, FREE_STUDY,
    SIGNAL_STUDY, READBACK_STUDY, SHORT_STUDY, SELF_TEST_STUDY, LATCHED_STUDY,
)  # fmt: skip
