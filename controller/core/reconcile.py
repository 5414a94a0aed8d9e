"""Reconciliation at start: records against the generator's counter and its last results.

Lives here: the comparison as a pure function.  May not live here: files (`controller.supervisor.
durable`) or the bus.  The generator's counter says how many pulses were emitted since the account
was last kept; the durable copy says how many were recorded.  What is missing is named, to be added;
what a crash left open and the generator did not count is taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.core.results import COUNTER_MODULUS, PulseResult


@dataclass(frozen=True, slots=True)
class Account:
    """A moment at which both agreed: generator counter and number of durable pulse records."""

    counter: int
    records: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """What matters of one recorded pulse; `lit` is False when no high voltage was seen.

    `sure` is False when a crash hid whether there was any: it is counted until the generator is
    asked.
    """

    technique_id: int
    lit: bool
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome.  `missing` are to be added to the record; `unknown` could not be named any more
    because the generator keeps its last 256 results only; `surplus` were recorded, not emitted.
    `taken_back` of the records that a crash left open, the newest ones, were never emitted.
    """

    ok: bool
    emitted: int
    recorded: int
    missing: tuple[PulseResult, ...]
    unknown: int
    surplus: int
    detail: str
    taken_back: int = 0


def reconcile(
    account: Account | None, records: Sequence[Recorded], counter: int,
    recent: Sequence[PulseResult],
) -> Finding:  # fmt: skip
    """Compare; `records` are those after `account`, in order, `recent` the last results, in order.

    Without an account (a new machine) the generator's counter is taken as the beginning.
    """
    if account is None:
        return Finding(True, 0, len(records), (), 0, 0, "first account of this machine")
    emitted = (counter - account.counter) % COUNTER_MODULUS
    lit = [record for record in records if record.lit]
    if emitted >= COUNTER_MODULUS // 2:
        return Finding(
            False,
            0,
            len(lit),
            (),
            0,
            0,
            f"generator counter went back from {account.counter} to {counter}",
        )
    over = max(0, len(lit) - emitted)
    taken_back = min(over, sum(not record.sure for record in lit))
    short = max(0, emitted - len(lit))
    known = [r for r in recent if 0 < (r.counter - account.counter) % COUNTER_MODULUS <= emitted]
    # The records of pulses older than the generator's memory are taken to be there.
    newer = [record.technique_id for record in lit][emitted - len(known) :]
    missing = tuple(_unmatched(known, newer)[-short:]) if short else ()
    unknown = short - len(missing)
    detail = f"{emitted} emitted, {len(lit)} recorded, {len(missing)} added, {unknown} unknown"
    if taken_back:
        detail += f", {taken_back} taken back"
    return Finding(
        unknown == 0, emitted, len(lit), missing, unknown, over - taken_back, detail, taken_back
    )


def _unmatched(results: Sequence[PulseResult], recorded: list[int]) -> list[PulseResult]:
    # Both are in order; a result is matched by the next record of the same technique.
    left, rest = [], list(recorded)
    for result in results:
        if result.technique_id in rest:
            del rest[: rest.index(result.technique_id) + 1]
        else:
            left.append(result)
    return left
