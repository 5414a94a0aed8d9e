"""What must hold of the beam at every step, judged from the room and the lines.

Lives here: the rules by name, in the words of safety.md, and what they remember (`Eye`).  May not
live here: the executive's own view of pedals, pictures or credit; it is asked only for its state,
its run and the order it holds, which are what is judged.
"""

from __future__ import annotations

from typing import Final

from hil.explore.beam_room import Note
from hil.explore.beam_state import Frame
from realtime.beam import LINES, PERMIT_STATES, BeamState
from realtime.limits import MS, US
from realtime.run import Run
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, PEDALS, In, Out
from realtime.wire.messages import Mode, Pedal

CONTACTS: Final = {
    Pedal.FLUORO: (In.FLUORO_NO, In.FLUORO_NC),
    Pedal.HIGH: (In.HIGH_NO, In.HIGH_NC),
    Pedal.CINE: (In.CINE_NO, In.CINE_NC),
}
# Each rule, and the invariant of safety.md that it is of (a fault where no invariant says it).
RULES: Final[dict[str, int | str]] = {
    "PULSE only in state PULSE": 5,
    "PULSE only with the pedal of the run pressed": 1,
    "a run ends on the turn that reads its pedal let go": 1,
    "a run ends on the turn that reads an interlock open": 3,
    "PULSE only with every interlock closed and the lines fresh": 3,
    "PULSE only on an order of this run that outlives it, within its credit": 5,
    "PULSE only after the last gate has agreed on that turn": 13,
    "PULSE rises only inside WINDOW with its guards, PERMIT_OK and CHAIN_OK": 7,
    "PULSE rises only with BANK on the technique of the order": 6,
    "pulses keep their spacing": 5,
    "no image, no beam: pulse n needs a valid verdict on n-2 or later": 8,
    "a run starts only on a fresh edge, all pedals seen released before": 2,
    "latched until a reset, with all pedals up and the causes gone": 12,
    "one function: a run keeps its pedal and its mode": 4,
    "a full black box is dark": 10,
    "PERMIT moves only while a pulse may come or runs": 13,
    "only a letter of the present run and epoch can become the order": 5,
    "an order whose time is over ends its run on that turn": 5,
    "high level only with the tone read back": "F47",
    "no run in progress survives a stall, lost lines or a lost supervisor": 12,
    "no assertion of ours fails": 12,
}
_ALL: Final = 0b111
_PULSE, _PERMIT = 1 << Out.PULSE, 1 << Out.PERMIT
_IN_RUN: Final = frozenset(BeamState) - {BeamState.DARK, BeamState.TRIPPED}


def watch(frame: Frame) -> None:
    """Before a turn: note what the contacts truly are, and how long the executive was away."""
    eye, now_ns, levels = frame.eye, frame.now_ns, frame.room.levels
    eye.away_ns, eye.turn_ns = now_ns - eye.turn_ns, now_ns
    eye.opened = bool((~levels | frame.room.edges) & INTERLOCKS)
    not_up = _bits(levels) if frame.room.link else _ALL
    eye.lifted |= _ALL & ~not_up
    if not_up:
        eye.up_ns = 0
    else:
        eye.up_ns = eye.up_ns or now_ns
        eye.rested = eye.rested or now_ns - eye.up_ns >= 50 * MS
    if not any(_pressed(levels, pedal) for pedal in CONTACTS):
        eye.pressed_ns = 0
    elif not eye.pressed_ns:
        eye.pressed_ns = now_ns


def _pressed(levels: int, pedal: Pedal) -> bool:
    no, nc = CONTACTS[pedal]
    return bool(levels >> no & 1) and not levels >> nc & 1


def _bits(levels: int) -> int:
    """The pedals that are not up, as bits."""
    return sum(
        (1 << n) for n, (no, nc) in enumerate(CONTACTS.values())
        if levels >> no & 1 or not levels >> nc & 1
    )  # fmt: skip


def _pressed_bits(levels: int) -> int:
    return sum((1 << n) for n, pedal in enumerate(CONTACTS) if _pressed(levels, pedal))


def judge(frame: Frame, before: tuple[BeamState, Run | None], lines_before: int, lines: int,
          delivered: Note | None) -> list[str]:  # fmt: skip
    """After a turn: the rules it broke.  `before`: state and run; the banks before and now."""
    broken: list[str] = []
    beam = frame.executive
    if lines & _PULSE and beam.exercise is None:
        broken += _pulse(frame)
        if not lines_before & _PULSE:
            broken += _rise(frame, lines)
            frame.eye.rises += 1
            frame.eye.rise_ns = frame.now_ns
    # An exercise that ends on this turn has made its last toggle on an earlier one.
    if (lines ^ lines_before) & _PERMIT and beam.exercise is None and (
        beam.state not in PERMIT_STATES or beam.inhibited
    ):  # fmt: skip
        broken.append("PERMIT moves only while a pulse may come or runs")
    if lines & _PULSE and not LINES[beam.state] & _PULSE and beam.exercise is None:
        broken.append("PULSE only in state PULSE")
    return broken + _run(frame, before, delivered)


def _pulse(frame: Frame) -> list[str]:
    beam, room = frame.executive, frame.room
    broken = []
    if beam.run is None or not _pressed(room.levels, beam.run.pedal):
        broken.append("PULSE only with the pedal of the run pressed")
    if not room.link or room.levels & INTERLOCKS != INTERLOCKS:
        broken.append("PULSE only with every interlock closed and the lines fresh")
    if beam.state is not BeamState.PULSE:
        broken.append("PULSE only in state PULSE")
    return broken


def _rise(frame: Frame, lines: int) -> list[str]:
    beam, room, eye, now_ns = frame.executive, frame.room, frame.eye, frame.now_ns
    order, run, timing = beam.book.order, beam.run, beam.timing
    if order is None or run is None:
        return ["PULSE only on an order of this run that outlives it, within its credit"]
    end_ns = now_ns + (order.rise_us + order.set_us + order.tail_us) * US
    # What the room knows just before the rise: X-rays follow it at once.
    rise_ns, fall_ns = room.stamps[0], room.stamps[1]
    inside = rise_ns > fall_ns and rise_ns + timing.guard_open_ns <= now_ns and (
        end_ns <= rise_ns + timing.window_ns - timing.guard_close_ns
    )  # fmt: skip
    ready = all(room.levels >> bit & 1 for bit in (In.WINDOW, In.PERMIT_OK, In.CHAIN_OK))
    checks = (
        (order.run_id == run.run_id and order.expires_ns > end_ns
         and eye.rises <= order.last_pulse_n,
         "PULSE only on an order of this run that outlives it, within its credit"),
        (frame.gate._last_pulse_ns == now_ns,
         "PULSE only after the last gate has agreed on that turn"),
        (inside and ready,
         "PULSE rises only inside WINDOW with its guards, PERMIT_OK and CHAIN_OK"),
        (bool(lines & 1 << Out.BANK) == bool(order.bank),
         "PULSE rises only with BANK on the technique of the order"),
        (eye.rises < 2 or eye.valid_n >= eye.rises - 2,
         "no image, no beam: pulse n needs a valid verdict on n-2 or later"),
        (room.unread < 4, "a full black box is dark"),
        (run.mode is not Mode.HIGH_LEVEL or bool(room.levels >> In.TONE_READBACK & 1),
         "high level only with the tone read back"),
        (now_ns - eye.rise_ns >= timing.spacing_min_ns, "pulses keep their spacing"),
    )  # fmt: skip
    return [rule for good, rule in checks if not good]


def _run(frame: Frame, before: tuple[BeamState, Run | None], delivered: Note | None) -> list[str]:
    beam, eye = frame.executive, frame.eye
    was, run_was = before
    was_run = run_was.run_id if run_was is not None else 0
    broken = []
    run_id = beam.run.run_id if beam.run is not None else 0
    if run_id and run_id != was_run:
        eye.rises, eye.valid_n = 0, -1
        assert beam.run is not None
        eye.function = beam.run.pedal, beam.run.mode
        held = eye.pressed_ns and frame.now_ns - eye.pressed_ns >= 35 * MS
        if not eye.rested or eye.lifted != _ALL or not held:
            broken.append("a run starts only on a fresh edge, all pedals seen released before")
    if was is BeamState.TRIPPED and beam.state is not BeamState.TRIPPED:
        good = delivered is not None and delivered.kind == "reset" and delivered.epoch == 0
        if not good or beam.trips or frame.room.levels & PEDALS != NC_CONTACTS:
            broken.append("latched until a reset, with all pedals up and the causes gone")
    if beam.trips and beam.state is not BeamState.TRIPPED:
        broken.append("latched until a reset, with all pedals up and the causes gone")
        eye.lifted &= ~_pressed_bits(frame.room.levels)
    elif run_id:
        eye.lifted &= ~_pressed_bits(frame.room.levels)
    lost = eye.away_ns > 20 * MS or not frame.room.link or (
        delivered is not None and delivered.kind == "supervisor_gone"
    )  # fmt: skip
    if run_id and run_id == was_run and lost:
        broken.append("no run in progress survives a stall, lost lines or a lost supervisor")
    if beam.run is not None and not _pressed(frame.room.levels, beam.run.pedal):
        broken.append("a run ends on the turn that reads its pedal let go")
    if beam.run is not None and eye.opened:
        broken.append("a run ends on the turn that reads an interlock open")
    order = beam.book.order
    if run_id and run_id == was_run and order is not None and order.expires_ns <= frame.now_ns:
        broken.append("an order whose time is over ends its run on that turn")
    if run_id and run_id == was_run and run_was is not None and beam.run is not None and (
        (run_was.pedal, run_was.mode) != eye.function
    ):  # fmt: skip
        broken.append("one function: a run keeps its pedal and its mode")
    # A run that ended while its pedal was still down was ended by something else.
    cut = run_was is not None and not run_id and _pressed(frame.room.levels, run_was.pedal)
    voids = cut or BeamState.TRIPPED in (was, beam.state) or not frame.room.link
    chosen = delivered is not None and delivered.kind.startswith("select")
    if voids or (chosen and not was_run):
        eye.rested, eye.up_ns = False, 0
    if bool(run_id) is not (beam.state in _IN_RUN):
        broken.append("one function: a run keeps its pedal and its mode")
    return broken
