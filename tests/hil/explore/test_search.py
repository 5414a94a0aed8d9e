"""The search itself: it ends, finds the shortest path, and tells what cannot be left again."""

from collections.abc import Callable, Mapping
from typing import Any

from hil.explore.search import Search


class Ladder:
    """A toy: a counter from 0 to `top`; what `rule` says of a step is broken."""

    name = "ladder"
    always: Mapping[str, int | str] = {"stays low": 1}
    well = frozenset({"down"})

    def __init__(self, top: int, rule: Callable[[int], tuple[str, ...]], stuck: int = -1) -> None:
        self.top, self.rule, self.stuck, self.at = top, rule, stuck, 0

    def starts(self) -> list[Any]:
        return [0]

    def lay(self, state: Any) -> None:
        self.at = state

    def moves(self) -> tuple[str, ...]:
        return ("up", "down", "leap")

    def make(self, move: str) -> tuple[str, ...]:
        steps = {"up": 1, "down": 0 if self.at == self.stuck else -1, "leap": 3}
        self.at = max(0, min(self.top, self.at + steps[move]))
        return self.rule(self.at)

    def read(self) -> Any:
        return self.at

    def marks(self) -> tuple[str, ...]:
        return ("ground",) if self.at == 0 else ()


def quiet(at: int) -> tuple[str, ...]:
    return ()


def test_it_ends_with_every_state_seen_once() -> None:
    graph = Search(Ladder(10, quiet)).run(("ground",))
    assert (graph.states, graph.transitions, graph.complete) == (11, 33, True)
    assert graph.marks == {"ground"}
    assert not graph.broken


def test_a_search_that_is_cut_off_is_not_complete() -> None:
    assert not Search(Ladder(1000, quiet), states_max=20).run().complete


def test_the_first_counterexample_is_a_shortest_one() -> None:
    search = Search(Ladder(10, lambda at: ("stays low",) if at == 7 else ()))
    broken = search.run().broken[0]
    assert len(broken.path) == 3
    assert sorted(broken.path) == ["leap", "leap", "up"]


def test_a_state_from_which_no_well_move_leads_on_is_told() -> None:
    graph = Search(Ladder(5, quiet, stuck=3)).run(("ground",))
    assert graph.stranded == {"ground": 3}
    assert graph.broken[0].kind == "eventually"


def test_it_can_end_at_the_first_finding() -> None:
    def rule(at: int) -> tuple[str, ...]:
        return tuple(f"below {top}" for top in (3, 9) if at >= top)

    first = Search(Ladder(10, rule), first_only=True).run()
    assert [broken.rule for broken in first.broken] == ["below 3"]
    assert not first.complete
    assert len(Search(Ladder(10, rule)).run().broken) == 1  # what broke is not gone on from
