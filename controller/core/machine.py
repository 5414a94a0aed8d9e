"""The supervisor's machine: one event in, commands out, by the mode table.

Lives here: `Machine`, which looks the row up, does its action, and holds the result against the
table; and the actions that belong to no department: links, faults, the end.  May not live here:
a clock, I/O, or the departments (`links`, `boot`, `run`, `local`, `service`).

Every action is a function `(core, event, now_ns) -> commands`.  Commands are carried out in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller.core import boot, links, local, run, service
from controller.core.condition import Core
from controller.core.events import Command, Event, Kind
from controller.core.modes import TABLE, Ignore, Mode, Row, may_raise

Action = Callable[[Core, Any, int], list[Command]]

_DEPARTMENTS: Final = (boot, links, local, run, service)


def _action(name: str) -> Action:
    found = [getattr(module, name) for module in _DEPARTMENTS if name in module.ACTIONS]
    assert len(found) == 1, f"action {name} is defined {len(found)} times"
    action: Action = found.pop()
    return action


ACTIONS: Final[dict[str, Action]] = {
    row.action: _action(row.action) for row in TABLE.values() if isinstance(row, Row)
}


class Machine:
    """Holds the state; `step` is the only way to change it."""

    def __init__(self, core: Core) -> None:
        self.core = core

    @property
    def mode(self) -> Mode:
        """The mode now."""
        return self.core.mode

    def step(self, event: Event, now_ns: int) -> list[Command]:
        """Take one event at `now_ns` (CLOCK_MONOTONIC); returns what is to be done, in order."""
        before = self.core.mode
        if event.kind is Kind.TICK:
            self.core.beat(now_ns)
        row = TABLE[before, event.kind]
        if isinstance(row, Ignore):
            return []
        commands = ACTIONS[row.action](self.core, event, now_ns)
        after = self.core.mode
        assert after is before or after in row.targets, f"{before} -{event.kind}→ {after}: no row"
        assert may_raise(event.origin, before, after), f"{event.origin} raised {before} to {after}"
        return commands
