"""What the supervisor asks for, as small frozen values; carried out by its shell, in order.

Lives here: one class per command.  May not live here: carrying one out, or the reason for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from controller.core.reconcile import Account
from controller.core.technique import Technique
from realtime.wire import messages as wire


class Command:
    """Base of all commands."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ToExecutive(Command):
    """Send to realtime."""

    message: wire.Message


@dataclass(frozen=True, slots=True)
class ToImaging(Command):
    """Send to imaging."""

    message: wire.Message


@dataclass(frozen=True, slots=True)
class Prepare(Command):
    """Rotor and filament on or to rest."""

    on: bool


@dataclass(frozen=True, slots=True)
class Commit(Command):
    """Write a technique into a bank and read it back; answered by `BankCommitted`."""

    bank: int
    technique: Technique


@dataclass(frozen=True, slots=True)
class ReadGateCount(Command):
    """Ask for `GateCounted`."""


@dataclass(frozen=True, slots=True)
class ResetGenerator(Command):
    """Clear the generator's own fault bits after a local reset."""


@dataclass(frozen=True, slots=True)
class Reconcile(Command):
    """Compare the records with the generator's memory; answered by `Reconciled`."""


@dataclass(frozen=True, slots=True)
class KeepAccount(Command):
    """Store the generator's counter beside the number of durable records."""

    account: Account


@dataclass(frozen=True, slots=True)
class Persist(Command):
    """Write the latches; `clean` only at the very end."""

    clean: bool


@dataclass(frozen=True, slots=True)
class Reply(Command):
    """Answer a local act."""

    token: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Log(Command):
    """One line for the log; `what` is the kind that is rate-limited."""

    level: str
    what: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EndProcess(Command):
    """Ask a process to end; whoever started it starts it again."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True)
class Exit(Command):
    """End the process with this code, after everything before it in the list."""

    code: int
