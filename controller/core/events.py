"""What happens to the supervisor and what it asks for, as small frozen values.

Lives here: one class per event; commands (`commands`) are given on, so that a department imports
both from one place.  May not live here: any reaction.  `kind` selects
the row of the mode table; `origin` says where it came from, because a network input may never bring
the machine nearer to X-rays (`controller.core.modes.may_raise`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from controller.core.commands import Command as Command
from controller.core.commands import Commit as Commit
from controller.core.commands import EndProcess as EndProcess
from controller.core.commands import Exit as Exit
from controller.core.commands import KeepAccount as KeepAccount
from controller.core.commands import Log as Log
from controller.core.commands import Persist as Persist
from controller.core.commands import Prepare as Prepare
from controller.core.commands import ReadGateCount as ReadGateCount
from controller.core.commands import Reconcile as Reconcile
from controller.core.commands import Reply as Reply
from controller.core.commands import ResetGenerator as ResetGenerator
from controller.core.commands import ToExecutive as ToExecutive
from controller.core.commands import ToImaging as ToImaging
from controller.core.reconcile import Account, Finding
from controller.core.results import PulseResult
from realtime.wire import messages as wire


class Kind(StrEnum):
    """The columns of the mode table."""

    TICK = "tick"
    EXECUTIVE_UP = "executive_up"
    EXECUTIVE_DOWN = "executive_down"
    STATE = "state"
    PRESS = "press"
    RUN_END = "run_end"
    PULSE = "pulse"
    SKIP = "skip"
    TRIP = "trip"
    REFUSED = "refused"
    EXERCISED = "exercised"
    IMAGING_UP = "imaging_up"
    IMAGING_DOWN = "imaging_down"
    IMAGING_STATE = "imaging_state"
    DARK_FRAME = "dark_frame"
    GENERATOR_UP = "generator_up"
    GENERATOR_DOWN = "generator_down"
    GENERATOR_STATUS = "generator_status"
    RESULT = "result"
    EMERGENCY = "emergency"
    COMMITTED = "committed"
    GATE_COUNT = "gate_count"
    DURABLE = "durable"
    RECONCILED = "reconciled"
    ASK = "ask"
    READY = "ready"
    RESET = "reset"
    SET = "set"
    SELECT = "select"
    SELF_TEST = "self_test"
    RESET_TIMER = "reset_timer"
    SERVICE = "service"
    REMOTE_ASK = "remote_ask"
    REMOTE = "remote"
    STOP = "stop"
    BROKEN = "broken"


class Origin(StrEnum):
    """Where an event came from."""

    INSIDE = "inside"
    BEAM = "beam"
    DEVICE = "device"
    LOCAL = "local"
    NETWORK = "network"


class Event:
    """Base of all events."""

    __slots__ = ()
    kind: ClassVar[Kind]
    origin: ClassVar[Origin] = Origin.INSIDE


@dataclass(frozen=True, slots=True)
class Tick(Event):
    """The main step's own beat."""

    kind: ClassVar[Kind] = Kind.TICK


@dataclass(frozen=True, slots=True)
class ExecutiveUp(Event):
    """realtime said hello."""

    kind: ClassVar[Kind] = Kind.EXECUTIVE_UP
    origin: ClassVar[Origin] = Origin.BEAM
    hello: wire.Hello


@dataclass(frozen=True, slots=True)
class ExecutiveDown(Event):
    """The socket to realtime closed."""

    kind: ClassVar[Kind] = Kind.EXECUTIVE_DOWN
    origin: ClassVar[Origin] = Origin.BEAM
    detail: str


@dataclass(frozen=True, slots=True)
class FromExecutive(Event):
    """A message of realtime; the row is chosen by its class (`KIND_OF_MESSAGE`)."""

    origin: ClassVar[Origin] = Origin.BEAM
    message: Any

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The column of the message carried."""
        return KIND_OF_MESSAGE[type(self.message)]


KIND_OF_MESSAGE: dict[type[wire.Message], Kind] = {
    wire.State: Kind.STATE,
    wire.Press: Kind.PRESS,
    wire.RunEnd: Kind.RUN_END,
    wire.PulseReport: Kind.PULSE,
    wire.Skip: Kind.SKIP,
    wire.Trip: Kind.TRIP,
    wire.Refused: Kind.REFUSED,
    wire.ExerciseResult: Kind.EXERCISED,
}


@dataclass(frozen=True, slots=True)
class ImagingUp(Event):
    """imaging said hello."""

    kind: ClassVar[Kind] = Kind.IMAGING_UP
    origin: ClassVar[Origin] = Origin.DEVICE
    hello: wire.Hello


@dataclass(frozen=True, slots=True)
class ImagingDown(Event):
    """The socket to imaging closed."""

    kind: ClassVar[Kind] = Kind.IMAGING_DOWN
    origin: ClassVar[Origin] = Origin.DEVICE
    detail: str


@dataclass(frozen=True, slots=True)
class ImagingSeen(Event):
    """Proof of life of imaging."""

    kind: ClassVar[Kind] = Kind.IMAGING_STATE
    origin: ClassVar[Origin] = Origin.DEVICE
    message: wire.ImagingState


@dataclass(frozen=True, slots=True)
class DarkFrameSeen(Event):
    """The dark frame of the self-test was looked at."""

    kind: ClassVar[Kind] = Kind.DARK_FRAME
    origin: ClassVar[Origin] = Origin.DEVICE
    message: wire.DarkFrameResult


@dataclass(frozen=True, slots=True)
class GeneratorStatus:
    """What the generator says of itself; `faults` is its own bit set, heat in per mille."""

    state: int
    rotor_ready: bool
    filament_ready: bool
    faults: int
    heat_per_mille: int

    @property
    def prepared(self) -> bool:
        """Rotor at speed and filament hot."""
        return self.rotor_ready and self.filament_ready


@dataclass(frozen=True, slots=True)
class GeneratorUp(Event):
    """The bus works and heartbeats come; `counter` is the generator's pulse counter."""

    kind: ClassVar[Kind] = Kind.GENERATOR_UP
    origin: ClassVar[Origin] = Origin.DEVICE
    counter: int
    status: GeneratorStatus


@dataclass(frozen=True, slots=True)
class GeneratorDown(Event):
    """The generator is not to be relied on; `code` says why."""

    kind: ClassVar[Kind] = Kind.GENERATOR_DOWN
    origin: ClassVar[Origin] = Origin.DEVICE
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class GeneratorSeen(Event):
    """A status came."""

    kind: ClassVar[Kind] = Kind.GENERATOR_STATUS
    origin: ClassVar[Origin] = Origin.DEVICE
    status: GeneratorStatus


@dataclass(frozen=True, slots=True)
class ResultSeen(Event):
    """The result of one pulse came."""

    kind: ClassVar[Kind] = Kind.RESULT
    origin: ClassVar[Origin] = Origin.DEVICE
    result: PulseResult


@dataclass(frozen=True, slots=True)
class Emergency(Event):
    """An EMCY message; code 0 says that an earlier one is over."""

    kind: ClassVar[Kind] = Kind.EMERGENCY
    origin: ClassVar[Origin] = Origin.DEVICE
    code: int
    detail: str


@dataclass(frozen=True, slots=True)
class BankCommitted(Event):
    """A bank was written and read back; `ok` only when every field agreed."""

    kind: ClassVar[Kind] = Kind.COMMITTED
    origin: ClassVar[Origin] = Origin.DEVICE
    bank: int
    technique_id: int
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class GateCounted(Event):
    """The generator's count of rises of PULSE ∧ WINDOW, −1 when it could not be read."""

    kind: ClassVar[Kind] = Kind.GATE_COUNT
    origin: ClassVar[Origin] = Origin.DEVICE
    count: int


@dataclass(frozen=True, slots=True)
class DurableSeen(Event):
    """How the durable copy of the black box stands."""

    kind: ClassVar[Kind] = Kind.DURABLE
    ok: bool
    copied: int
    unread: int
    detail: str


@dataclass(frozen=True, slots=True)
class Reconciled(Event):
    """Black box, durable copy and generator were compared; both agree at `account` now."""

    kind: ClassVar[Kind] = Kind.RECONCILED
    finding: Finding
    account: Account


@dataclass(frozen=True, slots=True)
class Local(Event):
    """An act at the board; `token` finds the way back for the reply."""

    origin: ClassVar[Origin] = Origin.LOCAL
    token: int
    do: Kind
    what: str
    arguments: Mapping[str, Any]

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """The column of the act."""
        return self.do


@dataclass(frozen=True, slots=True)
class Remote(Event):
    """A verified wish of the service process; it came over the network, whoever signed it.

    `ask` only looks.  `by` names the key that signed.
    """

    origin: ClassVar[Origin] = Origin.NETWORK
    token: int
    ask: bool
    what: str
    by: str
    arguments: Mapping[str, Any]

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        """Looking and acting are two columns."""
        return Kind.REMOTE_ASK if self.ask else Kind.REMOTE


@dataclass(frozen=True, slots=True)
class Stop(Event):
    """SIGTERM or SIGINT."""

    kind: ClassVar[Kind] = Kind.STOP
    reason: str


@dataclass(frozen=True, slots=True)
class Broken(Event):
    """Something of ours failed that is not an exception of the main step."""

    kind: ClassVar[Kind] = Kind.BROKEN
    detail: str
