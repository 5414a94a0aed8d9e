"""The mode machine under exploration: complete, alive, and seeded bugs are found."""

import pytest

from controller.core import links, local, order
from controller.core import run as run_department
from controller.core.machine import ACTIONS
from controller.core.modes import Mode
from hil.explore.modes import TO_READY, Modes, studies
from hil.explore.search import Graph, Search

pytestmark = pytest.mark.invariant(12)


def explored() -> Graph:
    run = next(one for one in studies() if one.name == "modes: run")
    return Search(run).run(("ready or ended",))


def rules(graph: Graph) -> list[str]:
    return [broken.rule for broken in graph.broken]


def test_the_shipped_machine_holds_and_comes_back_to_rest_after_every_run() -> None:
    graph = explored()
    assert graph.complete
    assert rules(graph) == []


def test_a_fault_that_is_left_without_a_reset_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def tick(core, event, now_ns):  # type: ignore[no-untyped-def]
        core.mode, core.faults = Mode.STANDBY, ()
        return []

    monkeypatch.setitem(ACTIONS, "fault_tick", tick)
    latched = Modes("latched", ("tick", "state at rest"), (*TO_READY, "trip"))
    assert "FAULT is left only by a local reset that was asked for" in rules(Search(latched).run())


def test_a_run_that_is_given_up_in_silence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def dark(core, code):  # type: ignore[no-untyped-def]
        core.run = None
        return []

    monkeypatch.setattr(links, "dark", dark)
    monkeypatch.setattr(local, "dark", dark)
    assert "a run that the supervisor gives up is told dark at once" in rules(explored())


def test_an_order_without_a_technique_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    real = run_department._proceed

    def proceed(core, now_ns):  # type: ignore[no-untyped-def]
        kept, core.committed = core.committed, core.committed or core.wanted
        commands = real(core, now_ns)
        core.committed = kept
        return commands

    monkeypatch.setattr(run_department, "_proceed", proceed)
    assert any(rule.startswith("an order goes out only in EXPOSING") for rule in rules(explored()))


def test_an_order_that_grants_too_much_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "credit", lambda checked_n: checked_n + 3)
    assert "an order grants two pulses at most beyond the last checked result" in rules(explored())


def test_whatever_the_shipped_step_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIONS, "tripped", ACTIONS["skip_counted"])
    assert any(rule.startswith("no assertion of ours fails (Attr") for rule in rules(explored()))
