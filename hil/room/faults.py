"""Faults of the room, by their number in the catalogue, and what each does to a part.

Lives here: the table (`TABLE`): what begins, what ends, and how its effect is recognised.  May not
live here: reactions, or faults of processes, bus and storage, which the room cannot make.

A fault counts as *on* only when its effect has been seen on a level or an event, not when it was
asked for.  `target` and `amount` mean what the row says; "" and 0.0 take the row's first target and
its default amount.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hil.room.contacts import BOUNCE_MAX_NS, BOUNCE_NS
from hil.room.parameters import MS, US

if TYPE_CHECKING:
    from hil.room.room import Room

Begin = Callable[["Room", str, float], None]
End = Callable[["Room", str], None]
Seen = Callable[["Room", str], int | bool]
PEDALS: Final = ("fluoro", "high", "cine")
CONTACTS: Final = ("estop", "door", "collision", "barrier", "cooling", "key")
LATE_MS: Final = 50.0
FOREIGN_MS: Final = 66.0


class FaultError(ValueError):
    """Not a fault the room can make; `code` is `unknown_fault` or `unknown_target`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Fault:
    """One row.  `seen` is a level (bool) or a counter that must grow beyond its value at onset."""

    what: str
    targets: tuple[str, ...]
    amount: float
    unit: str
    begin: Begin
    end: End
    seen: Seen
    for_ns: int = 0


def _pedal_forced(no: int, nc: int) -> tuple[Begin, End, Seen]:
    def begin(room: Room, target: str, _amount: float) -> None:
        room.pedals[target].force(no, nc)

    def end(room: Room, target: str) -> None:
        room.pedals[target].free(no, nc)

    def seen(room: Room, target: str) -> bool:
        return (room.pedals[target].no, room.pedals[target].nc) == (no, nc)

    return begin, end, seen


def _bounce(room: Room, target: str, amount: float) -> None:
    longest = min(BOUNCE_MAX_NS, max(BOUNCE_NS[0], round(amount * MS)))
    room.pedals[target].bounce_ns = (longest, longest)


def _bounce_end(room: Room, target: str) -> None:
    room.pedals[target].bounce_ns = BOUNCE_NS


def _open(room: Room, target: str, _amount: float) -> None:
    room.interlocks.forced_open.add(target)


def _open_end(room: Room, target: str) -> None:
    room.interlocks.forced_open.discard(target)


def _is_open(room: Room, target: str) -> bool:
    return not room.interlocks.level(target)


def _lose(room: Room, _target: str, amount: float) -> None:
    room.wire.lose = max(1, int(amount))


def _lose_end(room: Room, _target: str) -> None:
    room.wire.lose = 0


def _silence(room: Room, _target: str, _amount: float) -> None:
    room.wire.silent = True


def _silence_end(room: Room, _target: str) -> None:
    room.wire.silent = False


def _ignore_off(room: Room, _target: str, _amount: float) -> None:
    room.generator.ignores_off = True


def _ignore_off_end(room: Room, _target: str) -> None:
    room.generator.ignores_off = False


def _overrun(room: Room, _target: str, _amount: float) -> None:
    room.generator.overruns = True


def _overrun_end(room: Room, _target: str) -> None:
    room.generator.overruns = False


def _unasked(room: Room, target: str, amount: float) -> None:
    if target == "twice":
        room.generator.repeats = max(1, int(amount))
    else:
        room.generator.strays = max(1, int(amount))


def _unasked_end(room: Room, _target: str) -> None:
    room.generator.obey_again()


def _blind(room: Room, _target: str, _amount: float) -> None:
    room.panel.integrates = False


def _blind_end(room: Room, _target: str) -> None:
    room.panel.integrates = True


def _drift(room: Room, _target: str, amount: float) -> None:
    room.panel.drift_per_cycle_ns = round(amount * US)


def _drift_end(room: Room, _target: str) -> None:
    room.panel.drift_per_cycle_ns = 0
    if not room.parameters.panel_master:
        # A triggered panel starts afresh at each trigger; a free-running one stays where it is.
        room.panel.drift_ns = 0


def _spoil(room: Room, target: str, amount: float) -> None:
    room.frames.defect = target
    room.frames.delay_ns = round(amount * MS) if target in ("late", "foreign") else 0


def _spoil_end(room: Room, _target: str) -> None:
    room.frames.defect = ""
    room.frames.delay_ns = 0


def _mute(room: Room, target: str, _amount: float) -> None:
    room.dead_signals.add(target)


def _mute_end(room: Room, target: str) -> None:
    room.dead_signals.discard(target)


def _is_mute(room: Room, target: str) -> bool:
    return room.commanded(target)


def _weld(room: Room, target: str, _amount: float) -> None:
    (room.chain if target == "chain" else room.monostable).stuck = True


def _weld_end(room: Room, target: str) -> None:
    (room.chain if target == "chain" else room.monostable).stuck = False


def _is_welded(room: Room, target: str) -> bool:
    if target == "chain":
        return room.chain.ok and not room.chain.contact
    return room.monostable.ok and not room.monostable.armed


_FRAME: Final = (_spoil, _spoil_end, lambda room, _: room.frames.spoiled)
TABLE: Final[dict[str, Fault]] = {
    "F01": Fault("pedal stuck pressed", PEDALS, 0.0, "", *_pedal_forced(1, 0)),
    "F04": Fault("contacts bounce this long", PEDALS, 30.0, "ms", _bounce, _bounce_end,
                 lambda room, target: room.pedals[target].bounced),
    "F05": Fault("pedal unplugged: both contacts open", PEDALS, 0.0, "", *_pedal_forced(0, 0)),
    "F06": Fault("snapshots with an edge are lost", ("",), 1.0, "snapshots", _lose, _lose_end,
                 lambda room, _: room.wire.lost),
    "F07": Fault("NO and NC both closed", PEDALS, 0.0, "", *_pedal_forced(1, 1)),
    "F08": Fault("interlock opens", CONTACTS, 0.0, "", _open, _open_end, _is_open),
    "F09": Fault("interlock flickers", CONTACTS, 0.0, "", _open, _open_end, _is_open, 1 * MS),
    "F10": Fault("line bus falls silent", ("",), 0.0, "", _silence, _silence_end,
                 lambda room, _: room.wire.withheld),
    "F13": Fault("generator ignores every off but its supply", ("",), 0.0, "", _ignore_off,
                 _ignore_off_end, lambda room, _: room.generator.ignored),
    "F14": Fault("preset and fall of PULSE do not end the pulse", ("",), 0.0, "", _overrun,
                 _overrun_end, lambda room, _: room.generator.overran),
    "F15": Fault("generator fires unasked", ("untriggered", "twice"), 1.0, "pulses", _unasked,
                 _unasked_end, lambda room, _: room.generator.unasked),
    "F21": Fault("panel does not integrate", ("",), 0.0, "", _blind, _blind_end,
                 lambda room, _: room.frames.blind),
    "F22": Fault("frame goes astray", ("missing", "late", "duplicate", "wrong_id"), LATE_MS, "ms",
                 *_FRAME),
    "F23": Fault("window drifts per cycle", ("",), 200.0, "us", _drift, _drift_end,
                 lambda room, _: abs(room.panel.drift_ns)),
    "F24": Fault("frame is spoiled", ("torn", "size", "zero", "frozen"), 0.0, "", *_FRAME),
    "F27": Fault("frames carry the stamps of another pulse", ("foreign",), FOREIGN_MS, "ms",
                 *_FRAME),
    "F38": Fault("buzzer or lamp draws no current", ("tone", "lamp"), 0.0, "", _mute, _mute_end,
                 _is_mute),
    "F46": Fault("hardware stuck closed", ("monostable", "chain"), 0.0, "", _weld, _weld_end,
                 _is_welded),
}  # fmt: skip


def row(fault: str, target: str) -> tuple[Fault, str]:
    """The row and the target to use; raises FaultError."""
    found = TABLE.get(fault)
    if found is None:
        raise FaultError("unknown_fault", "the room can make " + " ".join(TABLE))
    if target and target not in found.targets:
        raise FaultError("unknown_target", f"{fault}: one of " + " ".join(found.targets))
    return found, target or found.targets[0]
