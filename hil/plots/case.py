"""The picture of one case of a scenario: its whole timeline, and the moment the fault struck.

Lives here: what is shaded and marked over the signals.  May not live here: playing a case
(`hil.sim`), or which signals there are (`traces`).  Times are in ms: of the timeline above, from
the effect below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hil.plots.timing import ALARM, FOOT, INK, Panel, draw_signals
from hil.plots.traces import SIGNALS, cut
from hil.referee.truth import Truth

MS: Final = 1_000_000
OVERVIEW_NS_MAX: Final = 20_000 * MS
CLOSE_PERIODS: Final = 5
FAULT: Final = "#f6c7bf"
ASKED: Final = "#2e6da4"
GOOD: Final = "#1e8449"
TOP: Final = len(SIGNALS) - 0.38
ROOM_ABOVE: Final = 0.62


@dataclass(frozen=True, slots=True)
class Shade:
    """A fault window, from effect to end."""

    start_ns: int
    end_ns: int
    label: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A reaction that was expected between two instants; `at_ns`: where it came, 0: nowhere."""

    start_ns: int
    end_ns: int
    label: str
    shows: bool
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of a case; `zero_ns` is the start of the timeline."""

    title: str
    verdict: str
    good: bool
    zero_ns: int
    end_ns: int
    period_ns: int
    shades: tuple[Shade, ...]
    asked: tuple[Asked, ...]


def panels_for(picture: Picture) -> list[Panel]:
    """The whole timeline where it is not too long, the first effect, and a reaction far from it."""
    zero_ns, period_ns = picture.zero_ns, picture.period_ns
    panels = []
    if picture.end_ns - zero_ns <= OVERVIEW_NS_MAX or not picture.shades:
        panels.append(Panel(picture.title, zero_ns, picture.end_ns, zero_ns))
    if not picture.shades:
        return panels
    first = picture.shades[0]
    reached = [one.at_ns for one in picture.asked if one.at_ns > first.start_ns]
    near = [at_ns for at_ns in reached if at_ns - first.start_ns <= CLOSE_PERIODS * period_ns]
    end_ns = max([first.start_ns + round(1.6 * period_ns), *near]) + period_ns // 4
    start_ns = first.start_ns - round(1.4 * period_ns)
    panels.append(Panel(f"where {first.label} shows", start_ns, end_ns, first.start_ns))
    far = [at_ns for at_ns in reached if at_ns > end_ns]
    if far:
        panels.append(Panel(
            "where the reaction shows", far[0] - 2 * period_ns, far[0] + period_ns, far[0]
        ))  # fmt: skip
    return panels


def _shade(axes: Any, panel: Panel, one: Shade) -> None:
    start_ns, end_ns = max(one.start_ns, panel.start_ns), min(one.end_ns, panel.end_ns)
    if start_ns >= panel.end_ns or end_ns <= panel.start_ns:
        return
    left, right = ((t_ns - panel.zero_ns) / MS for t_ns in (start_ns, end_ns))
    axes.axvspan(left, right, color=FAULT, alpha=0.45, lw=0, zorder=-2)
    if one.start_ns >= panel.start_ns:
        axes.axvline(left, color=ALARM, lw=1.2, ls=(0, (4, 2)))
        axes.text(left, TOP + 0.12, f" {one.label}", color=ALARM, fontsize=9.5, va="bottom",
                  fontweight="bold", clip_on=True)  # fmt: skip


def _ask(axes: Any, panel: Panel, one: Asked, row: int) -> None:
    start_ns, end_ns = max(one.start_ns, panel.start_ns), min(one.end_ns, panel.end_ns)
    if start_ns >= end_ns:
        return
    left, right = ((t_ns - panel.zero_ns) / MS for t_ns in (start_ns, end_ns))
    height = TOP + 0.80 + 0.42 * row
    colour = GOOD if one.shows else ALARM
    if panel.start_ns <= one.at_ns <= panel.end_ns:
        axes.axvline((one.at_ns - panel.zero_ns) / MS, color=colour, lw=1.4)
    axes.plot([left, right], [height, height], color=colour, lw=2.2, solid_capstyle="butt")
    if one.end_ns <= panel.end_ns:
        axes.plot([right, right], [height - 0.12, height + 0.12], color=colour, lw=2.2)
        axes.axvline(right, color=colour, lw=0.8, ls=(0, (1, 2)))
    at_ms, ha, offset = right, "left", 6
    if _is_right(panel, right):
        at_ms, ha, offset = left, "right", -6
        if start_ns == panel.start_ns:
            at_ms, ha, offset = (left + right) / 2, "center", 0
    axes.annotate(
        one.label, xy=(at_ms, height), xytext=(offset, 0), textcoords="offset points",
        ha=ha, va="center", color=colour, fontsize=9, annotation_clip=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
    )  # fmt: skip


def _is_right(panel: Panel, at_ms: float) -> bool:
    """So far right that a label beside it would leave the picture."""
    return at_ms > (panel.start_ns + 0.72 * (panel.end_ns - panel.start_ns) - panel.zero_ns) / MS


def draw(picture: Picture, records: Sequence[Truth], path: Path) -> list[Panel]:
    """Draw into one PNG of 1600 px width; returns the panels.  Raises OSError."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = panels_for(picture)
    cuts = cut(records, [(panel.start_ns, panel.end_ns) for panel in panels])
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.10, hspace=0.05)
    size = (12.8, 4.3 * len(panels) + 0.3)
    figure = Figure(figsize=size, dpi=125, layout=layout, facecolor="white")
    shown = picture.asked[:3]
    for number, (panel, one) in enumerate(zip(panels, cuts, strict=True)):
        axes = figure.add_subplot(len(panels), 1, number + 1)
        draw_signals(axes, panel, one)
        axes.set_ylim(-0.25, TOP + ROOM_ABOVE + 0.42 * len(shown))
        for shade in picture.shades:
            _shade(axes, panel, shade)
        for row, asked in enumerate(shown):
            _ask(axes, panel, asked, row)
    figure.suptitle(picture.verdict, x=0.992, ha="right", fontsize=11, fontweight="bold",
                    color=GOOD if picture.good else ALARM)  # fmt: skip
    figure.supxlabel(FOOT, fontsize=8.5, color=INK, alpha=0.6, x=0.995, ha="right")
    figure.savefig(path, metadata={"Software": None})
    return panels
