"""The executive under exploration: small studies run to their end, and bugs are found in them."""

from dataclasses import replace

import pytest

from hil.explore.beam import Beam
from hil.explore.beam_studies import (
    LATCHED_STUDY,
    LEASES_STUDY,
    SELECTED_STUDY,
    SHORT_STUDY,
    Study,
)
from hil.explore.search import Graph, Search
from realtime import correspondence, executive, firing, interlocks, orders, pedals, run
from realtime.beam import BeamEvent
from realtime.limits import MS, Timing
from realtime.permit import Gate
from realtime.run import Run
from realtime.wire.lines import INTERLOCKS
from realtime.wire.messages import Pedal

pytestmark = pytest.mark.invariant(5)

SMALL = replace(
    LEASES_STUDY, name="small", acts=("press fluoro", "lift all"), late=False,
    direct=("order", "order_spent", "verdict_valid"),
)  # fmt: skip


def explored(study: Study = SMALL, states_max: int = 40_000) -> Graph:
    return Search(Beam(study), states_max).run(("beam pulse",))


def rules(graph: Graph) -> list[str]:
    return [broken.rule for broken in graph.broken]


def test_the_shipped_executive_holds_and_every_state_can_well_reach_a_pulse() -> None:
    graph = explored()
    assert graph.complete
    assert rules(graph) == []
    assert {"beam pulse", "beam readout", "beam dark", "order held"} <= graph.marks


def test_the_longest_run_trips_and_is_left_by_a_reset() -> None:
    calm = replace(SHORT_STUDY, acts=("press fluoro", "lift all"), at_next=(),
                   direct=("order", "verdict_valid", "reset"))  # fmt: skip
    graph = Search(Beam(calm)).run(("beam pulse",))
    assert graph.complete
    assert rules(graph) == []
    assert "trip run_max" in graph.marks


def test_a_mode_of_the_cine_pedal_can_well_reach_a_pulse_from_every_state() -> None:
    graph = Search(Beam(SELECTED_STUDY)).run(("beam pulse",))
    assert graph.complete
    assert rules(graph) == []
    assert graph.stranded == {"beam pulse": 0}


def test_first_light_never_pulses() -> None:
    graph = Search(Beam(LATCHED_STUDY)).run()
    assert graph.complete
    assert rules(graph) == []
    assert "beam pulse" not in graph.marks


def test_laying_and_reading_a_state_changes_nothing() -> None:
    one = Beam(SMALL)
    search = Search(one, 3_000)
    search.run()
    for state in search._states[::7]:
        one.lay(state)
        assert one.read() == state


def test_no_field_of_the_executive_is_forgotten() -> None:
    frame = Beam(SMALL).frame
    known = {
        "timing", "boot_id", "run_count", "state", "trips", "standing", "inhibited", "pedals",
        "book", "cycle", "irradiation", "tone", "lamp", "firing", "outlines", "mail", "run",
        "exercise", "cine_mode", "links", "inputs", "store", "inhibits", "opened", "last_turn_ns",
        "state_due_ns", "posts", "intent", "closed", "stray",
    }  # fmt: skip
    assert set(vars(frame.executive)) == known, "a new field must be read, or said to be dead"
    assert set(run.Run.__slots__) == {
        "fired", "invalid_streak", "last_start_ns", "last_valid_n", "mode", "pedal", "run_id",
        "skip_streak", "skipped", "start_ns", "verdict_n",
    }  # fmt: skip
    assert set(orders.OrderBook.__slots__) == {
        "_fixed", "_parked", "epoch", "order", "raw", "run_id", "seq", "state", "timing",
    }  # fmt: skip
    assert set(firing.Firing.__slots__) == {
        "asked", "bound", "bound_ns", "clear_ns", "fall_ns", "of", "pulse_id_next", "seen", "shot",
    }  # fmt: skip
    assert set(Gate.__slots__) == {
        "_cap_us", "_contacts", "_epoch", "_granted", "_inhibited", "_last_pulse_ns", "_order",
        "_order_raw", "_run_id", "_spacing_ns",
    }  # fmt: skip


def test_an_executive_that_ignores_the_release_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.pedals.Pedals.is_down", lambda self, active: True)
    monkeypatch.setattr(Gate, "withdraws", lambda self, *given: "")
    found = rules(explored(states_max=4_000))
    assert "PULSE only with the pedal of the run pressed" in found


def test_a_stranger_gate_that_lets_all_pass_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "agree", lambda self, *given: "")
    assert "PULSE only after the last gate has agreed on that turn" in rules(explored())


def test_a_pulse_without_pictures_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.Run, "has_verdict", lambda self: True)
    assert any(rule.startswith("no image, no beam") for rule in rules(explored()))


def test_a_pulse_without_credit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.Run, "has_credit", lambda self, order: True)
    monkeypatch.setattr(Gate, "_lacks", lambda self, *given: "")
    assert any("within its credit" in rule for rule in rules(explored()))


def test_a_reset_that_asks_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(self: executive.Executive, now_ns: int) -> str:
        self.trips.clear()
        self.take(BeamEvent.RESET)
        return ""

    monkeypatch.setattr(executive.Executive, "reset", reset)
    assert any(rule.startswith("latched until") for rule in rules(
        Search(Beam(replace(SHORT_STUDY, inhibited=True, latched=True))).run()))  # fmt: skip


def test_an_order_of_an_earlier_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def order(self: correspondence.Correspondence, now_ns: int, order: object, raw: bytes) -> str:
        self.of.book._hold(order, raw)  # type: ignore[arg-type]
        return ""

    monkeypatch.setattr(correspondence.Correspondence, "_order", order)
    letters = replace(SMALL, letters=("order",), direct=("verdict_valid",))
    assert any(rule.startswith("only a letter of the present run") for rule in rules(
        explored(letters, 20_000)))  # fmt: skip


def test_a_run_that_outlives_a_stall_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executive.Executive, "_watch_clock", lambda self, now_ns: None)
    found = Search(Beam(replace(SMALL, late=True)), first_only=True).run()
    assert rules(found) == ["no run in progress survives a stall, lost lines or a lost supervisor"]


def test_a_run_that_outlives_the_supervisor_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        correspondence.Correspondence, "_link", lambda self, now_ns, peer, link_up: ""
    )
    alone = replace(SMALL, direct=("supervisor_gone",))
    found = Search(Beam(alone), first_only=True).run()
    assert rules(found) == ["no run in progress survives a stall, lost lines or a lost supervisor"]


def test_pulses_that_follow_each_other_too_soon_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = replace(SMALL, timing=replace(SMALL.timing, spacing_min_ns=45 * MS))
    monkeypatch.setattr(Timing, "fits_period", lambda self, num_ns, den: True)
    monkeypatch.setattr(Run, "last_start_ns", property(lambda self: 0, lambda self, ns: None))
    one = Beam(slow)
    one.frame.gate._spacing_ns = 0
    assert rules(Search(one, first_only=True).run()) == ["pulses keep their spacing"]


def test_an_order_that_outlives_its_time_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders.OrderBook, "expire", lambda self, now_ns: False)
    found = Search(Beam(SMALL), first_only=True).run()
    assert rules(found) == ["an order whose time is over ends its run on that turn"]


def test_a_run_that_outlives_its_release_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_down(self: pedals.Pedals, active: Pedal) -> bool:
        return self.of[active].state is not pedals.PedalState.UP

    monkeypatch.setattr(pedals.Pedals, "is_down", is_down)
    found = Search(Beam(SMALL), first_only=True).run()
    assert rules(found) == ["a run ends on the turn that reads its pedal let go"]


def test_a_run_that_outlives_an_interlock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = interlocks.judge(INTERLOCKS, 0)
    monkeypatch.setattr(executive, "judge", lambda levels, edges: closed)
    open_door = replace(SMALL, acts=("press fluoro", "lift all", "open door", "close all"))
    found = Search(Beam(open_door), first_only=True).run()
    assert rules(found) == ["a run ends on the turn that reads an interlock open"]


def test_a_run_that_outlives_a_flicker_of_an_interlock_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = interlocks.judge
    monkeypatch.setattr(executive, "judge", lambda levels, edges: real(levels, 0))
    flicker = replace(SMALL, acts=("press fluoro", "lift all", "flicker door"))
    found = Search(Beam(flicker), first_only=True).run()
    assert rules(found) == ["a run ends on the turn that reads an interlock open"]


def test_whatever_the_shipped_turn_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def expire(self: orders.OrderBook, now_ns: int) -> bool:
        raise KeyError("expire")

    monkeypatch.setattr(orders.OrderBook, "expire", expire)
    found = Search(Beam(SMALL), first_only=True).run()
    assert [rule.partition(":")[0] for rule in rules(found)] == [
        "no assertion of ours fails (KeyError"
    ]
