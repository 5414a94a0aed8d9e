"""Numbers from the truth log: how fast it went dark, how regular the permit and the pulses were.

Lives here: one small meter per figure, fed record by record.  May not live here: verdicts or goals.
A release or a kill that found no beam never counts as zero: it is counted apart, and what shone
after it is counted too.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

from hil.referee.crosscheck import begin_ns
from hil.referee.scene import PEDALS, Scene
from hil.referee.spans import Spans
from hil.referee.truth import Truth
from realtime.wire.record import Record, RecordKind

# A contact that chatters is one release: bounce lasts up to 30 ms (F04).
BOUNCE_NS: Final = 35_000_000
# The permit toggles "from 8 ms before PULSE to its fall".
PERMIT_LEAD_NS: Final = 8_000_000
PRESSES_MAX: Final = 10_000
DUE_SLACK_NS: Final = 5_000_000


def quantile(ordered: list[int] | list[float], fraction: float) -> float:
    """The smallest sample that at least `fraction` of the samples do not exceed."""
    assert ordered, "a quantile of nothing"
    rank = -(-len(ordered) * fraction // 1)
    return float(ordered[max(0, int(rank) - 1)])


def spread(samples_ns: Iterable[int], unit_ns: int, *quantiles: float) -> dict[str, Any]:
    """`{n, min, p50, …, max}` in the given unit; nulls where there is no sample."""
    ordered = sorted(samples_ns)
    names = {q: "p" + f"{100 * q:g}".replace(".", "_") for q in quantiles}
    if not ordered:
        return {"n": 0, "min": None, **dict.fromkeys(names.values()), "max": None}
    values = {name: round(quantile(ordered, q) / unit_ns, 3) for q, name in names.items()}
    low, high = round(ordered[0] / unit_ns, 3), round(ordered[-1] / unit_ns, 3)
    return {"n": len(ordered), "min": low, **values, "max": high}


class Releases:
    """From the first opening of the contact, under high voltage, to the end of it."""

    def __init__(self) -> None:
        self.dark_ns = array("q")
        self.between = 0
        self.pulses_after = 0
        self._released_ns: int | None = None
        self._open_ns: int | None = None
        self._pulses_in_press = 0

    def take(self, record: Truth, scene: Scene) -> None:
        """Contacts and `hv`, after the scene took them."""
        if record.kind == "contact":
            self._contact(record.t_ns, scene)
        elif record.kind == "hv" and record.value:
            self._pulses_in_press += 1
            if self._released_ns is not None:
                self.pulses_after += 1
        elif record.kind == "hv" and self._open_ns is not None:
            self.dark_ns.append(record.t_ns - self._open_ns)
            self._open_ns = None

    def _contact(self, t_ns: int, scene: Scene) -> None:
        if scene.pressed.now:
            if self._released_ns is not None and t_ns - self._released_ns >= BOUNCE_NS:
                self._released_ns = None
                self._pulses_in_press = 0
            return
        if self._released_ns is not None or scene.pressed.last_true_ns(t_ns) != t_ns:
            return
        if scene.beam_on():
            self._open_ns = t_ns
        elif self._pulses_in_press:
            self.between += 1
        if self._pulses_in_press:
            self._released_ns = t_ns


class Deaths:
    """From the kill or stop of a process to the last high voltage before anything began anew."""

    def __init__(self, process: str, signal: str) -> None:
        self.process = process
        self.signal = signal
        self.count = 0
        self.mid_pulse = 0
        self.dark_ns = array("q")
        self.pulses_after = array("q")
        self._mark_ns: int | None = None
        self._last_ns = 0
        self._after = 0

    def take(self, record: Truth, scene: Scene) -> None:
        """Marks, `hv`, and what begins anew: a continued or restarted process, a press."""
        if record.kind == "process" and record.name == self.process:
            self._settle()
            if record.value == self.signal:
                self.count += 1
                self.mid_pulse += scene.beam_on()
                self._mark_ns = record.t_ns
        elif self._mark_ns is None:
            return
        elif record.kind == "hv":
            self._after += record.value
            self._last_ns = 0 if record.value else record.t_ns
        elif record.kind == "contact" and not scene.pressed.now:
            self._settle()

    def _settle(self) -> None:
        if self._mark_ns is not None:
            if self._last_ns:
                self.dark_ns.append(self._last_ns - self._mark_ns)
            self.pulses_after.append(self._after)
        self._mark_ns, self._last_ns, self._after = None, 0, 0

    def row(self) -> dict[str, Any]:
        """`{process, signal, n, mid_pulse_n, pulses_after_max, dark_ms: {…}}`."""
        self._settle()
        return {
            "process": self.process,
            "signal": self.signal,
            "n": self.count,
            "mid_pulse_n": self.mid_pulse,
            "pulses_after_max": max(self.pulses_after, default=None),
            "dark_ms": spread(self.dark_ns, 1_000_000, 0.5, 0.99),
        }


class PermitGaps:
    """Time between toggles of PERMIT from 8 ms before PULSE rises to its fall."""

    def __init__(self) -> None:
        self.gaps_ns = array("q")
        self._toggles: list[int] = []
        self._rise_ns: int | None = None

    def take(self, record: Truth) -> None:
        """Edges of the two lines, and the executive coming or going."""
        if record.kind == "process" and record.name in ("lines", "realtime"):
            # Gone or stopped, the executive toggles nothing; what follows is the monostable's.
            self._toggles, self._rise_ns = [], None
        if record.kind != "line" or record.name not in ("permit", "pulse"):
            return
        if record.name == "permit":
            self._toggles.append(record.t_ns)
            if self._rise_ns is None:
                oldest_ns = record.t_ns - 4 * PERMIT_LEAD_NS
                self._toggles = [t_ns for t_ns in self._toggles if t_ns >= oldest_ns]
        elif record.value:
            self._rise_ns = record.t_ns
        elif self._rise_ns is not None:
            lead_ns = self._rise_ns - PERMIT_LEAD_NS
            kept = [t_ns for t_ns in self._toggles if lead_ns <= t_ns <= record.t_ns]
            kept.append(record.t_ns)
            self.gaps_ns.extend(later - earlier for earlier, later in pairwise(kept))
            self._toggles = []
            self._rise_ns = None


class Presses:
    """Each press with its pulses: delay of the first, count, rate.  Bounce is not a press."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._down = False
        self._released_ns: int | None = None

    def take(self, record: Truth, scene: Scene) -> None:
        """Contacts and starts of `hv`."""
        if record.kind == "contact" and scene.pressed.now != self._down:
            self._down = scene.pressed.now
            self._contact(record.t_ns, scene)
        elif record.kind == "hv" and record.value and self.rows:
            row = self.rows[-1]
            row["pulses"] += 1
            row["first_pulse_ns"] = row["first_pulse_ns"] or record.t_ns
            row["last_pulse_ns"] = record.t_ns

    def _contact(self, t_ns: int, scene: Scene) -> None:
        released_ns = self._released_ns
        if not self._down:
            if released_ns is None or t_ns - released_ns >= BOUNCE_NS:
                self._released_ns = t_ns
        elif (released_ns is None or t_ns - released_ns >= BOUNCE_NS) and not self._full():
            pedal = next(name for name in PEDALS if scene.pedals[name].pressed.now)
            empty = {"pulses": 0, "first_pulse_ns": 0, "last_pulse_ns": 0}
            self.rows.append({"pedal": pedal, "t_ns": t_ns, **empty})

    def _full(self) -> bool:
        return len(self.rows) >= PRESSES_MAX

    def delays_ns(self) -> list[int]:
        """From press to first pulse, presses without a pulse left out."""
        return [r["first_pulse_ns"] - r["t_ns"] for r in self.rows if r["pulses"]]

    def runs(self) -> list[dict[str, Any]]:
        """`{pedal, t_ns, pulses, rate_hz, press_to_first_pulse_ms}` of each press."""
        found = []
        for row in self.rows:
            span_ns = row["last_pulse_ns"] - row["first_pulse_ns"]
            rate = round((row["pulses"] - 1) * 1e9 / span_ns, 3) if span_ns else None
            delay_ms = round((row["first_pulse_ns"] - row["t_ns"]) / 1e6, 3)
            found.append({
                "pedal": row["pedal"], "t_ns": row["t_ns"], "pulses": row["pulses"],
                "rate_hz": rate, "press_to_first_pulse_ms": delay_ms if row["pulses"] else None,
            })  # fmt: skip
        return found


class Lateness:
    """Rise of PULSE at the kernel's stamp against the due time of the black box."""

    def __init__(self, records: list[Record]) -> None:
        asked = sorted((r for r in records if r.kind is RecordKind.PULSE), key=begin_ns)
        self.starts = [begin_ns(record) for record in asked]
        self.due = [record.due_ns for record in asked]
        self.late_ns = array("q")

    def take(self, record: Truth) -> None:
        """Rises of PULSE."""
        if record.kind != "line" or record.name != "pulse" or not record.value:
            return
        place = bisect.bisect_right(self.starts, record.t_ns) - 1
        if place >= 0 and self.due[place] and record.t_ns - self.starts[place] < DUE_SLACK_NS:
            self.late_ns.append(record.t_ns - self.due[place])


class Metrics:
    """All meters over one stream: `take` each record, `result` once."""

    def __init__(self, records: list[Record] | None = None) -> None:
        self.scene = Scene()
        self.releases = Releases()
        self.presses = Presses()
        self.permit = PermitGaps()
        self.lateness = Lateness(records or [])
        self.deaths = [
            Deaths(process, signal)
            for process in ("realtime", "supervisor", "imaging")
            for signal in ("kill9", "sigstop")
        ]
        self.window = Spans()
        self.outside_window = 0

    def take(self, record: Truth) -> None:
        """One record, in order of stamps."""
        pulse = self.scene.take(record)
        self.releases.take(record, self.scene)
        self.presses.take(record, self.scene)
        self.permit.take(record)
        self.lateness.take(record)
        for death in self.deaths:
            death.take(record, self.scene)
        if record.kind in ("window_open", "window_close"):
            self.window.put(record.t_ns, record.kind == "window_open")
        if pulse is not None:
            shut_ns = self.window.uncovered_ns(pulse.on_ns, pulse.x_off_ns)
            self.outside_window += shut_ns is not None

    def result(self) -> dict[str, Any]:
        """The figures, with the keys of `out/demo/summary.json` where they have one."""
        delays_ns = self.presses.delays_ns()
        rows = [death.row() for death in self.deaths]
        return {
            "pulses_emitted": self.scene.pulse_count,
            "pulses_outside_window": self.outside_window,
            "release_to_dark_us": spread(self.releases.dark_ns, 1000, 0.5, 0.99),
            "releases_between_pulses": self.releases.between,
            "pulses_after_release": self.releases.pulses_after,
            "permit_toggle_gap_ms": spread(self.permit.gaps_ns, 1_000_000, 0.5, 0.999),
            "pulse_lateness_us": spread(self.lateness.late_ns, 1000, 0.5, 0.99, 0.999),
            "press_to_first_pulse_cold_ms": round(delays_ns[0] / 1e6, 3) if delays_ns else None,
            "press_to_first_pulse_ms": spread(delays_ns[1:], 1_000_000, 0.5, 0.99),
            "dark_after": [row for row in rows if row["n"]],
            "presses": self.presses.runs(),
        }


def measure(truth: Iterable[Truth], records: list[Record] | None = None) -> dict[str, Any]:
    """Figures of a whole log; `records` of the black box give the due times."""
    metrics = Metrics(records)
    for record in truth:
        metrics.take(record)
    return metrics.result()
