"""The timing picture: a logic analyser's view of pedal, interlock, permit, window, pulse, beam.

Lives here: choosing the panels and drawing them (matplotlib, imported only when it draws).  May not
live here: what the signals are (`traces`).  Times are in ms from the panel's own zero: the first
pulse, the opening of the contact, the kill.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.plots.traces import SIGNALS, Cut, Landmarks, cut, landmarks
from hil.referee.truth import Truth, TruthError, read

MS: Final = 1_000_000
SPAN_NS_MAX: Final = 60_000 * MS
LABELS: Final = {
    "pedal": "pedal",
    "interlock": "interlocks",
    "permit": "permit",
    "window": "window",
    "pulse": "pulse",
    "photons": "photons",
    "frame": "frame",
}
INK: Final = "#1c2833"
FAINT: Final = "#d5dbe1"
ALARM: Final = "#c0392b"
COLOURS: Final = {
    "pedal": "#2e6da4",
    "interlock": "#2e6da4",
    "permit": "#7d5ba6",
    "window": "#2a9d8f",
    "pulse": "#b5446e",
    "photons": "#e9a115",
    "frame": "#7f8c8d",
}
FOOT: Final = (
    "truth of the room, not what the software believes · photons: full = high voltage driven,"
    " pale = its tail · frame: readout of the panel"
)
ROW: Final = 1.0
HEIGHT: Final = 0.62


@dataclass(frozen=True)
class Panel:
    """One part of the picture: where it is cut, its zero, and the interval it measures."""

    title: str
    start_ns: int
    end_ns: int
    zero_ns: int
    cause: str = ""
    dark_ns: int | None = None


class NothingToDraw(ValueError):
    """The log has no such moment; the text says which."""


def _train(marks: Landmarks) -> Panel:
    if marks.train_ns is None:
        return Panel("the whole log", marks.first_ns, marks.last_ns, marks.first_ns)
    start_ns = marks.train_ns - int(0.35 * marks.period_ns)
    rate = 1e9 / marks.period_ns
    title = f"a run at {rate:.3g} pulses per second"
    return Panel(title, start_ns, start_ns + int(3.4 * marks.period_ns), marks.train_ns)


def _release(marks: Landmarks) -> Panel | None:
    if marks.release_ns is None or marks.release_dark_ns is None:
        return None
    zero_ns = marks.release_ns
    end_ns = max(marks.release_dark_ns, zero_ns) + 24 * MS
    return Panel(
        "release in mid-pulse", zero_ns - 14 * MS, end_ns, zero_ns,
        "contact opens", marks.release_dark_ns,
    )  # fmt: skip


def _kill(marks: Landmarks) -> Panel | None:
    if marks.kill_ns is None or marks.kill_dark_ns is None:
        return None
    zero_ns = marks.kill_ns
    end_ns = max(marks.kill_dark_ns, zero_ns) + 24 * MS
    title = f"{marks.kill_name.replace('kill9', 'kill -9')} in mid-pulse"
    return Panel(title, zero_ns - 14 * MS, end_ns, zero_ns, "kill", marks.kill_dark_ns)


def panels_for(
    marks: Landmarks,
    from_ns: int | None = None,
    to_ns: int | None = None,
    around: str | None = None,
) -> list[Panel]:
    """What to draw: a given span, the surroundings of an instant, or run, release and kill.

    `around` is `release`, `kill` or an instant in ns; raises NothingToDraw.
    """
    if from_ns is not None or to_ns is not None:
        start_ns = marks.first_ns if from_ns is None else from_ns
        end_ns = marks.last_ns if to_ns is None else to_ns
        if not start_ns < end_ns or end_ns - start_ns > SPAN_NS_MAX:
            raise NothingToDraw(f"a span of {end_ns - start_ns} ns; allowed is up to 60 s")
        return [Panel(f"from {start_ns} ns", start_ns, end_ns, start_ns)]
    if around is None:
        found = [_train(marks), _release(marks), _kill(marks)]
        return [panel for panel in found if panel is not None]
    if around.isdecimal():
        at_ns = int(around)
        return [Panel(f"around {at_ns} ns", at_ns - 50 * MS, at_ns + 50 * MS, at_ns)]
    chosen = {"release": _release, "kill": _kill}.get(around)
    panel = chosen(marks) if chosen is not None else None
    if panel is None:
        raise NothingToDraw(f"no {around} under the beam in this log")
    return [panel]


def _base(name: str) -> float:
    return (len(SIGNALS) - 1 - SIGNALS.index(name)) * ROW


def _level(axes: Any, one: Cut, name: str, ms: Callable[[int], float]) -> None:
    stamps, levels = one.steps(name)
    base = _base(name)
    heights = [base + HEIGHT * min(level, 1) for level in levels]
    times = [ms(t_ns) for t_ns in stamps]
    colour = COLOURS[name]
    axes.fill_between(times, base, heights, step="post", color=colour, alpha=0.22, linewidth=0)
    axes.step(times, heights, where="post", color=colour, linewidth=1.4, solid_joinstyle="miter")


def _photons(axes: Any, one: Cut, ms: Callable[[int], float]) -> None:
    base = _base("photons")
    axes.plot([ms(one.start_ns), ms(one.end_ns)], [base, base], color=COLOURS["photons"], lw=1.4)
    for least, alpha in ((1, 0.35), (2, 1.0)):
        for begin_ns, end_ns in one.spans("photons", least):
            axes.fill_between(
                [ms(begin_ns), ms(end_ns)], base, base + HEIGHT,
                color=COLOURS["photons"], alpha=alpha, linewidth=0,
            )  # fmt: skip


def _measure(axes: Any, panel: Panel, ms: Callable[[int], float]) -> None:
    assert panel.dark_ns is not None
    top = (len(SIGNALS) - 1) * ROW + HEIGHT
    dark = ms(panel.dark_ns)
    axes.axvline(0, color=ALARM, lw=1.1, ls=(0, (4, 2)))
    axes.axvline(dark, color=ALARM, lw=1.1)
    gap_us = (panel.dark_ns - panel.zero_ns) / 1000
    told = f"{gap_us:.0f} µs" if gap_us < 1000 else f"{gap_us / 1000:.2f} ms"
    axes.annotate(
        f"{panel.cause} → dark  {told}", xy=(dark, _base("photons") + HEIGHT + 0.12),
        xytext=(dark + 1.2, top + 0.30), color=ALARM, fontsize=10, fontweight="bold", va="center",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _draw(axes: Any, panel: Panel, one: Cut) -> None:
    draw_signals(axes, panel, one)
    if panel.dark_ns is not None:
        _measure(axes, panel, lambda t_ns: (t_ns - panel.zero_ns) / MS)


def draw_signals(axes: Any, panel: Panel, one: Cut) -> None:
    """The seven signals of one cut, labelled, over ms from the panel's zero."""

    def ms(t_ns: int) -> float:
        return (t_ns - panel.zero_ns) / MS

    for name in SIGNALS:
        axes.axhline(_base(name), color=FAINT, lw=0.6, zorder=0)
        if name == "photons":
            _photons(axes, one, ms)
        else:
            _level(axes, one, name, ms)
    axes.set_xlim(ms(panel.start_ns), ms(panel.end_ns))
    axes.set_ylim(-0.25, (len(SIGNALS) - 1) * ROW + HEIGHT + 0.62)
    axes.set_yticks([_base(name) + HEIGHT / 2 for name in SIGNALS])
    axes.set_yticklabels([LABELS[name] for name in SIGNALS], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=INK)
    axes.set_title(panel.title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=6)
    axes.set_xlabel("ms", color=INK)
    axes.grid(axis="x", color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _axes_for(figure: Any, count: int) -> list[Any]:
    if count == 1:
        return [figure.add_subplot(1, 1, 1)]
    grid = figure.add_gridspec(2, count - 1)
    return [
        figure.add_subplot(grid[0, :]),
        *(figure.add_subplot(grid[1, column]) for column in range(count - 1)),
    ]


def draw(panels: list[Panel], cuts: list[Cut], path: Path) -> None:
    """Draw the panels into one PNG of 1600 px width.  matplotlib costs a second to import."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.10, wspace=0.03, hspace=0.04)
    size = (12.8, 4.2 if len(panels) == 1 else 8.2)
    figure = Figure(figsize=size, dpi=125, layout=layout, facecolor="white")
    for axes, panel, one in zip(_axes_for(figure, len(panels)), panels, cuts, strict=True):
        _draw(axes, panel, one)
    figure.supxlabel(FOOT, fontsize=8.5, color="#7f8c8d", x=0.995, ha="right")
    figure.savefig(path, metadata={"Software": None})


def plot_timing(
    log: Callable[[], Iterable[Truth]],
    path: Path,
    from_ns: int | None = None,
    to_ns: int | None = None,
    around: str | None = None,
) -> list[Panel]:
    """Draw a log into `path`; `log` opens it anew for each of the two passes.

    Raises NothingToDraw, TruthError, OSError.  Returns the panels drawn.
    """
    panels = panels_for(landmarks(log()), from_ns, to_ns, around)
    cuts = cut(log(), [(panel.start_ns, panel.end_ns) for panel in panels])
    draw(panels, cuts, path)
    return panels


def refusal(path: Path, code: str, detail: str, line: int | None = None) -> dict[str, Any]:
    """The object that refuses to draw."""
    error: dict[str, Any] = {
        "code": code,
        "blame": "input",
        "file": str(path),
        "value": detail,
        "allowed": "a truth log as in docs/truth.md that has the moment asked for",
        "remedy": "ask for all, release, kill, an instant in ns, or a span of at most 60 s",
    }
    return {"error": error if line is None else {**error, "line": line}}


def run_timing(
    truth: Path,
    out: Path,
    from_ns: int | None = None,
    to_ns: int | None = None,
    around: str | None = None,
) -> tuple[dict[str, Any], int]:
    """`carm plot timing` as a function: the panels drawn and 0, or a refusal and 2."""
    try:
        panels = plot_timing(lambda: read(truth), out, from_ns, to_ns, around)
    except NothingToDraw as error:
        return refusal(truth, "nothing_to_draw", str(error)), 2
    except TruthError as error:
        return refusal(truth, error.code, error.detail, error.line), 2
    except (OSError, UnicodeDecodeError) as error:
        return refusal(truth, "unreadable", str(error)), 2
    return {"schema": "carm.plot/1", "out": str(out), "panels": [p.title for p in panels]}, 0


def main() -> int:
    """`python -m hil.plots.timing TRUTH -o PNG`."""
    parser = argparse.ArgumentParser(prog="hil.plots.timing", description="draw a truth log")
    parser.add_argument("truth", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("timing.png"))
    parser.add_argument("--from", dest="from_ns", type=int)
    parser.add_argument("--to", dest="to_ns", type=int)
    parser.add_argument("--around", default="all", help="all, release, kill or an instant in ns")
    asked = parser.parse_args()
    around = None if asked.around == "all" else asked.around
    told, code = run_timing(asked.truth, asked.out, asked.from_ns, asked.to_ns, around)
    sys.stdout.write(json.dumps(told) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
