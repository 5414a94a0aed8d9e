"""Pulse by pulse: each pulse of a truth log with its lateness, its gap of PERMIT and its slot.

Lives here: reading the pulses off the room's truth and the black box's due times, and counting the
slots of a run in which none came.  May not live here: what disturbed them.  A slot that falls into
a moment in which the rig itself was late is set apart: neither lost nor fired.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from bench.harness import CannotMeasure
from hil.referee.crosscheck import Unreadable, load_blackbox
from hil.referee.limits import RIG_LATE_NS
from hil.referee.metrics import Lateness, PermitGaps
from hil.referee.scene import Scene
from hil.referee.truth import TruthError, read

# A pulse that left the executive so late was late for whoever looks at the picture.
LATE_NS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Pulse:
    """Rise of PULSE; `late_ns` after it was due; widest gap of PERMIT until its fall."""

    t_ns: int
    late_ns: int | None
    permit_gap_ns: int
    press_no: int


@dataclass(frozen=True, slots=True)
class Account:
    """Pulses of one stretch: fired, slots without one, late ones, slots set apart."""

    fired: int
    lost: int
    late: int
    apart: int
    late_us: tuple[float, ...]
    permit_gap_ms_max: float


@dataclass(frozen=True, slots=True)
class Log:
    """All pulses in order, and the intervals in which the rig itself was late."""

    pulses: Sequence[Pulse]
    rig_late: Sequence[tuple[int, int]]

    def account(self, first: int, end: int, period_ns: int) -> Account:
        """Pulses `first` to `end` (not included), whose slots are `period_ns` apart."""
        part = self.pulses[first:end]
        lost = apart = 0
        for before, after in pairwise(part):
            missing = round((after.t_ns - before.t_ns) / period_ns) - 1
            if missing <= 0 or before.press_no != after.press_no:
                continue
            if any(a < after.t_ns and before.t_ns < b for a, b in self.rig_late):
                apart += missing
            else:
                lost += missing
        late_ns = [one.late_ns for one in part if one.late_ns is not None]
        gaps_ns = [one.permit_gap_ns for one in part]
        return Account(len(part), lost, sum(ns > LATE_NS for ns in late_ns), apart,
                       tuple(abs(ns) / 1000 for ns in late_ns),
                       max(gaps_ns, default=0) / 1e6)  # fmt: skip


def pulses_of(truth: Path, black_box: Path) -> Log:
    """Every pulse that shone; raises CannotMeasure when a file cannot be read."""
    try:
        lateness, gaps, scene = Lateness(load_blackbox(black_box)), PermitGaps(), Scene()
        found: list[Pulse] = []
        shone: set[int] = set()
        late: list[tuple[int, int]] = []
        for record in read(truth):
            scene.take(record)
            counted, measured = len(gaps.gaps_ns), len(lateness.late_ns)
            gaps.take(record)
            lateness.take(record)
            if record.kind == "process" and record.name == "lateness":
                late += [(record.t_ns - record.value, record.t_ns)]
            elif record.kind == "line" and record.name == "pulse" and record.value:
                known = len(lateness.late_ns) > measured
                late_ns = lateness.late_ns[-1] if known else None
                found.append(Pulse(record.t_ns, late_ns, 0, scene.press_no))
            elif record.kind == "photons_on":
                shone.add(len(found) - 1)
            elif found and len(gaps.gaps_ns) > counted:
                last = found[-1]
                widest = max(gaps.gaps_ns[counted:])
                found[-1] = Pulse(last.t_ns, last.late_ns, widest, last.press_no)
    except (OSError, TruthError, Unreadable) as error:
        raise CannotMeasure(str(error)) from None
    # In a self-test PULSE rises and nothing shines.
    kept = [one for place, one in enumerate(found) if place in shone]
    return Log(kept, [at for at in late if at[1] - at[0] > RIG_LATE_NS])
