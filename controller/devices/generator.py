"""The generator port: what the supervisor asks of a generator, and the read-back of a technique.

Lives here: the port, its errors, what a bank holds, and `commit`, the write-and-compare that every
driver goes through.  May not live here: a bus, a thread, or a decision about a failure.

A driver is found through the entry point group `carm.generator`: a callable
`(config, run_dir, listener) -> Generator`.  All methods block and are called from one thread only;
results, statuses and emergencies go to the listener from any thread, as they come.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple, Protocol

from controller.core.events import GeneratorStatus
from controller.core.refusal import Blame, Refusal
from controller.core.results import PulseResult
from controller.core.technique import Technique, bank_check
from realtime.wire.config import Config

GROUP = "carm.generator"
RECENT_MAX = 256


class GeneratorError(Exception):
    """The generator or its bus did not do what was asked; `code` is counted and logged."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class BankImage(NamedTuple):
    """What a bank holds, in the generator's own steps."""

    technique_id: int
    kv_tenths: int
    ma_hundredths: int
    set_us: int
    filter_code: int
    check: int


class Listener(Protocol):
    """Where a driver puts what comes by itself; called from the driver's threads, never blocks."""

    def result(self, result: PulseResult) -> None:
        """One pulse was made."""

    def status(self, status: GeneratorStatus) -> None:
        """The generator's state."""

    def emergency(self, code: int, detail: str) -> None:
        """An emergency message; code 0 ends an earlier one."""


class Generator(Protocol):
    """One generator.  Every method raises GeneratorError on failure, within its own time limit."""

    def open(self) -> None:
        """Connect; returns when the generator answers and reports by itself."""

    def close(self) -> None:
        """Disconnect; never raises."""

    def heartbeat_ns(self) -> int:
        """CLOCK_MONOTONIC of the last sign of life, 0 before the first."""

    def prepare(self, on: bool) -> None:
        """Rotor and filament on, or to rest."""

    def write_bank(self, bank: int, image: BankImage) -> None:
        """Store a technique in bank 0 or 1; it becomes valid only with the right check."""

    def read_bank(self, bank: int) -> BankImage:
        """What the bank holds now."""

    def read_status(self) -> GeneratorStatus:
        """The state now."""

    def clear_faults(self) -> None:
        """Clear fault bits whose cause is gone."""

    def counter(self) -> int:
        """Pulses made for ever, mod 2³²."""

    def gate_count(self) -> int:
        """Rises of PULSE ∧ WINDOW at its input, mod 2³²."""

    def recent(self, count: int) -> tuple[PulseResult, ...]:
        """The last `count` results (≤ RECENT_MAX), oldest first."""


def image_of(technique: Technique) -> BankImage:
    """What a bank must hold for this technique."""
    stored = (
        technique.technique_id, technique.kv_tenths, technique.ma_hundredths,
        technique.set_us, technique.filter_code,
    )  # fmt: skip
    return BankImage(*stored, bank_check(*stored))


def commit(generator: Generator, bank: int, technique: Technique) -> tuple[bool, str]:
    """Write, read back, compare every field; (False, which fields differ) otherwise."""
    wanted = image_of(technique)
    generator.write_bank(bank, wanted)
    stored = generator.read_bank(bank)
    wrong = [
        f"{name} {got} instead of {want}"
        for name, want, got in zip(BankImage._fields, wanted, stored, strict=True)
        if want != got
    ]
    return not wrong, "; ".join(wrong)


def find(config: Config, run_dir: Path, listener: Listener) -> Generator:
    """The driver named by `generator.driver`; raises Refusal when none has that name."""
    name = config["generator.driver"]
    drivers = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in drivers:
        raise Refusal("no_such_driver", Blame.INPUT, "generator.driver", name,
                      ", ".join(sorted(drivers)) or "no driver is installed",
                      "install a distribution that offers it in carm.generator")  # fmt: skip
    generator: Generator = drivers[name].load()(config, run_dir, listener)
    return generator
