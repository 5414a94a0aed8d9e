"""What the supervisor knows: links, devices, technique, run, faults.  One object, one owner.

Lives here: the state that `controller.core.machine` steps, and the fixed figures of its
configuration.  May not live here: decisions, or anything outside one process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from controller.core.events import GeneratorStatus
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.order import Lease
from controller.core.reconcile import Account, Finding
from controller.core.results import Pairing
from controller.core.selftest import SelfTest, StepResult
from controller.core.technique import Technique, id_of
from realtime.wire.config import Config
from realtime.wire.messages import ImagingState, State
from realtime.wire.messages import Mode as Function

# realtime and imaging report every 50 ms; three misses and a scheduling delay of a busy machine.
_REST_MODES: Final = frozenset({Mode.STANDBY, Mode.READY, Mode.HOLD, Mode.FAULT})
EXECUTIVE_AGE_MAX_NS: Final = 300_000_000
IMAGING_AGE_MAX_NS: Final = 500_000_000


@dataclass(slots=True)
class Executive:
    """The link to realtime and what it last reported."""

    up: bool = False
    epoch: int = 0
    pid: int = 0
    state: State | None = None
    state_ns: int = 0


@dataclass(slots=True)
class Imaging:
    """The link to imaging and what it last reported."""

    up: bool = False
    epoch: int = 0
    pid: int = 0
    state: ImagingState | None = None
    state_ns: int = 0


@dataclass(slots=True)
class Generator:
    """The generator and what it last reported; `ups` counts how often its bus came up."""

    up: bool = False
    ups: int = 0
    status: GeneratorStatus | None = None
    prepared_until_ns: int = 0
    down_detail: str = "not connected yet"


@dataclass(slots=True)
class Durable:
    """The durable copy of the black box; `failed_ns`: since when it fails, 0 while it does not."""

    ok: bool = False
    failed_ns: int = 0
    copied: int = 0
    unread: int = 0
    detail: str = "not started yet"


@dataclass(slots=True)
class Run:
    """The press in progress, from PREP to the end of the run; its lease is `Core.lease`."""

    run_id: int
    function: Function
    press_ns: int
    came_from: Mode
    warm: bool
    give_up_ns: int
    checked_n: int = -1
    skipped: int = 0
    fired: int = 0


@dataclass(slots=True)
class Proof:
    """The last whole self-test that passed, and for which partners it holds."""

    executive_epoch: int
    generator_ups: int


@dataclass(slots=True)
class Core:
    """Everything.  `wanted` is the operator's technique, `committed` the one that was read back;
    `ended` the run that was made dark from here and whose end realtime has not told yet.
    """

    config: Config
    epoch: int
    wanted: Technique
    mode: Mode = Mode.BOOT
    faults: tuple[Held, ...] = ()
    executive: Executive = field(default_factory=Executive)
    imaging: Imaging = field(default_factory=Imaging)
    generator: Generator = field(default_factory=Generator)
    durable: Durable = field(default_factory=Durable)
    pairing: Pairing = field(default_factory=Pairing)
    finding: Finding | None = None
    account: Account | None = None
    reconcile_due: bool = True
    lease: Lease | None = None
    committed: Technique | None = None
    committing: Technique | None = None
    committing_bank: int = 0
    bank: int = 0
    technique_count: int = 0
    order_seq: int = 0
    numbers: int = 0
    run: Run | None = None
    held_image: bool = False
    cine_mode: Function = Function.ONE_SHOT
    tick_ns: int = 0
    late_ns: int = 0
    test: SelfTest | None = None
    test_goal: Mode = Mode.STANDBY
    test_token: int | None = None
    test_gate_before: int | None = None
    results: list[StepResult] = field(default_factory=list)
    proof: Proof | None = None
    reset_token: int | None = None
    reset_sent_ns: int = 0
    voided_ns: int = 0
    ended: Run | None = None
    last_run: dict[str, object] = field(default_factory=dict)
    session_until_ns: int = 0
    acknowledged: dict[str, str] = field(default_factory=dict)

    def beat(self, now_ns: int) -> None:
        """Note when the main step beats and how long it was away since the last beat."""
        self.late_ns = now_ns - self.tick_ns if self.tick_ns else 0
        self.tick_ns = now_ns

    @property
    def at_rest(self) -> bool:
        """Only a partner that falls silent could be found by beating faster."""
        asleep = self.mode in _REST_MODES and not self.pairing.waiting
        return asleep and self.reset_token is None

    def numbered(self, technique: Technique) -> Technique:
        """The technique under an id that was never used before."""
        self.technique_count += 1
        return technique.numbered(id_of(self.epoch, self.technique_count))

    def next_number(self) -> int:
        """A number no earlier request of this process carried."""
        self.numbers += 1
        return self.numbers
