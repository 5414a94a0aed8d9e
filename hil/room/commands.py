"""What the room can be told from the bench: banks, preparation, acts, faults, wiring, marks.

Lives here: one frozen dataclass per command, and the reply.  May not live here: what a command does
(`hil.room.room` and the part concerned), or bytes (`hil.rig.roombus`).
"""

from __future__ import annotations

from dataclasses import dataclass

from hil.room.records import Technique


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer to every message that carries a `request_id`: done, or refused with a reason."""

    request_id: int
    ok: bool
    t_ns: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class BankSet:
    """A technique was written, checked and stored in bank 0 or 1; refused while it is firing."""

    request_id: int
    bank: int
    technique: Technique


@dataclass(frozen=True, slots=True)
class BankClear:
    """A bank became invalid: half written, or its check failed."""

    request_id: int
    bank: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Rotor to speed and filament to its boost (`on`), or both back to rest."""

    request_id: int
    on: bool


@dataclass(frozen=True, slots=True)
class GeneratorFault:
    """Fault bits of the generator's own electronics; any bit takes GENERATOR_READY away."""

    request_id: int
    bits: int


@dataclass(frozen=True, slots=True)
class Action:
    """An act in the room in words, e.g. `press fluoro` (the list is `hil.room.acts.ACTS`).

    `phase` −1: at once.  Else 0…1 of the pulse cycle (`phase_of` = cycle, from one rise of PULSE to
    the next) or of the pulse itself (`phase_of` = pulse, from hv on, over the set width).
    """

    request_id: int
    text: str
    phase: float
    phase_of: str


@dataclass(frozen=True, slots=True)
class Inject:
    """A fault of the catalogue: which, on what, how much, when and for how long.

    `target` and `amount` mean what the fault's row in `hil.room.faults.TABLE` says ("" and 0.0: the
    row's default).  `after_ns` from now, then `phase` as in Action; `for_ns` 0: until cleared.
    """

    request_id: int
    fault: str
    target: str
    amount: float
    after_ns: int
    for_ns: int
    phase: float
    phase_of: str


@dataclass(frozen=True, slots=True)
class Clear:
    """End one fault, or all of them when `fault` is empty."""

    request_id: int
    fault: str


@dataclass(frozen=True, slots=True)
class Wiring:
    """Switches of the rig that prove each stage alone; all true is the room as built."""

    request_id: int
    window_gate: bool
    chain: bool
    preset: bool
    backup: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """A remark for the truth log (kind `process`); `t_ns` 0 means now."""

    request_id: int
    t_ns: int
    name: str
    value: str


Command = BankSet | BankClear | Prepare | GeneratorFault | Action | Inject | Clear | Wiring | Mark
