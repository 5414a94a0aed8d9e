"""Panel cycles in both topologies."""

from __future__ import annotations

from hil.room.panel_timing import PanelTiming
from hil.room.parameters import MS, SECOND
from hil.room.records import NEVER
from tests.hil.room.bench import parameters


def play(panel: PanelTiming, until_ns: int) -> list[tuple[int, str, int]]:
    happened = []
    while panel.next_ns() <= until_ns:
        t = panel.next_ns()
        happened += [(t, what, slot.frame_no) for what, slot in panel.advance(t)]
    return happened


def test_a_trigger_gives_one_window_after_the_delay() -> None:
    panel = PanelTiming(parameters(), 0)
    assert panel.next_ns() == NEVER
    panel.trigger(1 * MS, 1)
    panel.trigger(2 * MS, 1)
    assert play(panel, SECOND) == [
        (1_100_000, "open", 1), (14_100_000, "close", 1), (32_100_000, "whole", 1),
    ]  # fmt: skip
    assert panel.triggers_ignored == 0


def test_a_trigger_during_a_cycle_is_ignored_and_counted() -> None:
    panel = PanelTiming(parameters(), 0)
    panel.trigger(0, 1)
    panel.trigger(1, 0)
    play(panel, 20 * MS)
    panel.trigger(20 * MS, 1)
    assert panel.triggers_ignored == 1
    assert play(panel, SECOND)[-1] == (31_100_000, "whole", 1)
    assert panel.next_ns() == NEVER


def test_the_first_frame_after_idle_is_marked_and_the_next_is_not() -> None:
    panel = PanelTiming(parameters(), 0)
    marks = []
    for start in (SECOND, SECOND + 40 * MS, 10 * SECOND):
        panel.trigger(start, 1)
        panel.trigger(start, 0)
        while panel.next_ns() < NEVER:
            marks += [s.after_idle for what, s in panel.advance(panel.next_ns()) if what == "open"]
    assert marks == [True, False, True]


def test_a_master_panel_runs_by_itself_without_drift_of_its_own() -> None:
    panel = PanelTiming(parameters(panel_master=True), 5)
    opens = [t for t, what, _ in play(panel, 10 * SECOND) if what == "open"]
    assert opens == [5 + round(k * SECOND / 30) for k in range(len(opens))]
    assert len(opens) == 300
    panel.trigger(10 * SECOND, 1)
    assert panel.triggers_ignored == 1


def test_a_drifting_window_moves_a_little_in_every_cycle() -> None:
    panel = PanelTiming(parameters(panel_master=True), 0)
    panel.drift_per_cycle_ns = 100_000
    opens = [t for t, what, _ in play(panel, SECOND) if what == "open"]
    late = [t - round(k * SECOND / 30) for k, t in enumerate(opens)]
    assert late[:4] == [0, 100_000, 200_000, 300_000]
