"""Signals over time out of the truth log, for whoever draws or writes them.

Lives here: which records make which signal, and cutting a span out of a long log without holding
it.  May not live here: matplotlib or a file format.  Levels are 0 and 1; `photons` is 2 while high
voltage is driven, 1 in the tail; `frame` is 1 from the close of the window to the end of readout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hil.referee.scene import INTERLOCKS, Scene
from hil.referee.truth import Truth

SIGNALS: Final = ("pedal", "interlock", "permit", "window", "pulse", "photons", "frame")
EDGES_MAX: Final = 2_000_000
BOUNCE_NS: Final = 35_000_000


class Levels:
    """The present level of each signal, record by record."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.now = dict.fromkeys(SIGNALS, 0)

    def take(self, record: Truth) -> dict[str, int]:
        """Add a record; returns the signals that it changed, with their new level."""
        self.scene.take(record)
        changed = {
            name: level for name, level in self._after(record).items() if self.now[name] != level
        }
        self.now.update(changed)
        return changed

    def _after(self, record: Truth) -> dict[str, int]:
        kind, name = record.kind, record.name
        if kind == "contact":
            return {"pedal": int(self.scene.pressed.now)}
        if kind == "interlock":
            return {"interlock": int(not any(self.scene.open[i].now for i in INTERLOCKS))}
        if kind == "line" and name in ("permit", "pulse"):
            return {name: record.value}
        if kind == "window_open":
            return {"window": 1}
        if kind == "window_close":
            return {"window": 0, "frame": 1}
        if kind == "frame":
            return {"frame": 0}
        if kind == "photons_off":
            return {"photons": 0}
        if kind in ("hv", "photons_on"):
            return {"photons": 2 if self.scene.beam_on() else 1}
        return {}


@dataclass
class Cut:
    """Signals between two instants: level at `start_ns`, then (t_ns, level) changes."""

    start_ns: int
    end_ns: int
    first: dict[str, int] = field(default_factory=dict)
    changes: dict[str, list[tuple[int, int]]] = field(
        default_factory=lambda: {name: [] for name in SIGNALS}
    )

    def steps(self, name: str) -> tuple[list[int], list[int]]:
        """Stamps and levels from start to end, for drawing as steps."""
        stamps, levels = [self.start_ns], [self.first.get(name, 0)]
        for t_ns, level in self.changes[name]:
            stamps.append(t_ns)
            levels.append(level)
        stamps.append(self.end_ns)
        levels.append(levels[-1])
        return stamps, levels

    def spans(self, name: str, least: int = 1) -> list[tuple[int, int]]:
        """Intervals in which the level was at least `least`, clipped to the cut."""
        found = []
        begun: int | None = None
        for t_ns, level in zip(*self.steps(name), strict=True):
            if level >= least and begun is None:
                begun = t_ns
            elif level < least and begun is not None:
                found.append((begun, t_ns))
                begun = None
        return [*found, (begun, self.end_ns)] if begun is not None else found


def cut(records: Iterable[Truth], spans: list[tuple[int, int]]) -> list[Cut]:
    """The signals in each of the given [start, end] spans, in one pass over the log."""
    cuts = [Cut(start_ns, end_ns) for start_ns, end_ns in spans]
    last_ns = max((span[1] for span in spans), default=0)
    levels = Levels()
    for record in records:
        if record.t_ns > last_ns:
            break
        before = dict(levels.now)
        changed = levels.take(record)
        for one in cuts:
            if record.t_ns < one.start_ns:
                continue
            if not one.first:
                one.first = before
            if record.t_ns <= one.end_ns:
                for name, level in changed.items():
                    one.changes[name].append((record.t_ns, level))
                assert sum(map(len, one.changes.values())) <= EDGES_MAX, "a picture too wide"
    for one in cuts:
        one.first = one.first or dict(levels.now)
    return cuts


@dataclass
class Landmarks:
    """Instants worth a picture; None where the log has none."""

    first_ns: int = 0
    last_ns: int = 0
    train_ns: int | None = None
    period_ns: int = 66_666_667
    release_ns: int | None = None
    release_dark_ns: int | None = None
    kill_ns: int | None = None
    kill_dark_ns: int | None = None
    kill_name: str = ""


class _Watch:
    """Finds the landmarks: the first steady train, the last release and kill under the beam."""

    def __init__(self) -> None:
        self.found = Landmarks()
        self.scene = Scene()
        self._starts: list[int] = []
        self._await_release: int | None = None
        self._await_kill: tuple[int, str] | None = None
        self._down = False
        self._ended_ns = 0

    def take(self, record: Truth) -> None:
        self.found.first_ns = self.found.first_ns or record.t_ns
        self.found.last_ns = record.t_ns
        self.scene.take(record)
        if record.kind == "contact" and self.scene.pressed.now != self._down:
            self._contact(record.t_ns)
        elif record.kind == "process" and record.value in ("kill9", "sigstop"):
            if self.scene.beam_on():
                self._await_kill = (record.t_ns, f"{record.value} of {record.name}")
        elif record.kind == "hv" and record.value:
            self._train(record.t_ns)
        elif record.kind == "hv":
            self._dark(record.t_ns)

    def _contact(self, t_ns: int) -> None:
        self._down = self.scene.pressed.now
        if self._down:
            return
        # A contact that chatters opens many times; the first opening is the release.
        if self.scene.beam_on() and t_ns - self._ended_ns > BOUNCE_NS:
            self._await_release = t_ns
        self._ended_ns = t_ns

    def _train(self, t_ns: int) -> None:
        self._starts = [*self._starts[-3:], t_ns]
        if self.found.train_ns is None and len(self._starts) == 4:
            steps = [b - a for a, b in zip(self._starts, self._starts[1:], strict=False)]
            if max(steps) < 1.2 * min(steps):
                self.found.train_ns = self._starts[0]
                self.found.period_ns = sum(steps) // len(steps)

    def _dark(self, t_ns: int) -> None:
        if self._await_release is not None:
            self.found.release_ns, self.found.release_dark_ns = self._await_release, t_ns
            self._await_release = None
        if self._await_kill is not None:
            self.found.kill_ns, self.found.kill_name = self._await_kill
            self.found.kill_dark_ns = t_ns
            self._await_kill = None


def landmarks(records: Iterable[Truth]) -> Landmarks:
    """Find what is worth a picture, in one pass."""
    watch = _Watch()
    for record in records:
        watch.take(record)
    return watch.found
