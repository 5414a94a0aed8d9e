"""The search: breadth first over canonical states until nothing new is found.

Theory of operation.  A subject lays a state out on the shipped objects (`lay`), names the moves of
the environment there (`moves`), makes one (`make`, which steps the shipped code and judges the
outcome) and reads the state off again in canonical form (`read`): times relative to now and clamped
at their thresholds, ids by equality pattern, no counter that only grows.  Equal canonical states
behave alike, so each is visited once.  Breadth first makes the first counterexample a shortest one.

Lives here: frontier, paths, and the three kinds of property.  May not live here: anything about
X-rays.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

State = Hashable
NOBODY = -1


class Subject(Protocol):
    """What is explored.

    `always`: the rules, each with its invariant; `well`: the moves in which all goes well.
    """

    name: str
    always: Mapping[str, int | str]
    well: frozenset[str]

    def starts(self) -> list[State]:
        """The canonical states in which it may begin."""

    def lay(self, state: State) -> None:
        """Make the shipped objects be in this state."""

    def moves(self) -> tuple[str, ...]:
        """What the environment can do in the state that was laid."""

    def make(self, move: str) -> tuple[str, ...]:
        """Do it; the names of the properties that broke (empty: none)."""

    def read(self) -> State:
        """The canonical state now."""

    def marks(self) -> tuple[str, ...]:
        """What is reached now, for *sometimes* and *eventually*."""


@dataclass(slots=True)
class Broken:
    """A property that does not hold: the moves that lead to it, the last one breaking it."""

    rule: str
    kind: str
    path: list[str]


@dataclass(slots=True)
class Graph:
    """What a search found.  `complete`: the frontier is empty."""

    name: str
    states: int = 0
    transitions: int = 0
    complete: bool = False
    broken: list[Broken] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    stranded: dict[str, int] = field(default_factory=dict)


class Search:
    """One search over one subject; at most `states_max` states are kept.

    `first_only`: end it at the first rule that breaks, which is found by a shortest path.
    """

    def __init__(self, subject: Subject, states_max: int = 2_000_000,
                 first_only: bool = False) -> None:  # fmt: skip
        self.subject = subject
        self.states_max = states_max
        self.first_only = first_only
        self.graph = Graph(subject.name)
        self._states: list[Any] = []
        self._index: dict[Any, int] = {}
        self._parent = array("q")
        self._move = array("H")
        self._words: list[str] = []
        self._number: dict[str, int] = {}
        self._well_from = array("q")
        self._well_to = array("q")
        self._reached: dict[str, list[int]] = {}

    def run(self, eventually: tuple[str, ...] = ()) -> Graph:
        """Search to the end; then ask for each mark whether every state can well reach it."""
        for state in self.subject.starts():
            self._meet(state, NOBODY, 0)
        at = 0
        while at < len(self._states) and len(self._states) <= self.states_max:
            self._expand(at)
            at += 1
            if self.first_only and self.graph.broken:
                break
        graph = self.graph
        graph.states = len(self._states)
        graph.complete = at == len(self._states)
        graph.marks = set(self._reached)
        if graph.complete:
            for mark in eventually:
                self._eventually(mark)
        return graph

    def _expand(self, at: int) -> None:
        subject, state, graph = self.subject, self._states[at], self.graph
        subject.lay(state)
        moves = subject.moves()
        for n, move in enumerate(moves):
            if n:
                subject.lay(state)
            rules = subject.make(move)
            graph.transitions += 1
            word = self._word(move)
            if rules:
                self._break(rules, at, move)
                continue
            to = self._meet(subject.read(), at, word)
            if move in subject.well:
                self._well_from.append(at)
                self._well_to.append(to)

    def _meet(self, state: Any, parent: int, word: int) -> int:
        known = self._index.get(state)
        if known is not None:
            return known
        number = len(self._states)
        self._index[state] = number
        self._states.append(state)
        self._parent.append(parent)
        self._move.append(word)
        for mark in self.subject.marks():
            self._reached.setdefault(mark, []).append(number)
        return number

    def _word(self, move: str) -> int:
        number = self._number.get(move)
        if number is None:
            number = self._number[move] = len(self._words)
            self._words.append(move)
        return number

    def _break(self, rules: tuple[str, ...], at: int, move: str) -> None:
        known = {broken.rule for broken in self.graph.broken}
        for rule in rules:
            if rule not in known:
                self.graph.broken.append(Broken(rule, "always", [*self.path(at), move]))

    def path(self, at: int) -> list[str]:
        """The moves from a start to a state, none shorter."""
        moves = []
        while self._parent[at] != NOBODY:
            moves.append(self._words[self._move[at]])
            at = self._parent[at]
        return moves[::-1]

    def _eventually(self, mark: str) -> None:
        """From every state a path of well moves leads to `mark`: backward from the marked ones."""
        before: dict[int, list[int]] = {}
        for a, b in zip(self._well_from, self._well_to, strict=True):
            before.setdefault(b, []).append(a)
        good = bytearray(len(self._states))
        edge = list(self._reached.get(mark, ()))
        for number in edge:
            good[number] = 1
        while edge:
            for number in before.get(edge.pop(), ()):
                if not good[number]:
                    good[number] = 1
                    edge.append(number)
        lost = good.count(0)
        self.graph.stranded[mark] = lost
        if lost:
            rule = f"from every state all-well moves lead to {mark}"
            self.graph.broken.append(Broken(rule, "eventually", self.path(good.index(0))))
