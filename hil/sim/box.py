"""The black box in virtual time: what survives the process, and its durable copy.

Lives here: how many records there are, what each says of its pulse, how many the copy holds, the
latched trips.  May not live here: bytes or files (`realtime.blackbox`), or dose.  Only the records
since the last account are kept, which is what a reconciliation looks at.  The box is on tmpfs: it
survives processes, and of a power cut only the copy and the account survive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from controller.core.reconcile import Account, Recorded
from realtime.inputs import Store
from realtime.trips import TripCode
from realtime.wire.record import CAPACITY_MIN, Record

RECORDS_MAX: Final = CAPACITY_MIN


@dataclass(slots=True)
class BlackBox:
    """Survives `realtime`; `running` tells a restart that the last process did not end cleanly.

    `on_before` counts strays that a process recorded before any pulse of its own.
    """

    written: int = 0
    consumed: int = 0
    strays: int = 0
    on_before: int = 0
    pulse_id_next: int = 1
    running: bool = False
    repaired: int = 0
    latched: list[TripCode] = field(default_factory=list)
    account: Account | None = None
    _records: list[Recorded] = field(default_factory=list)
    copied: int = 0
    pulse_id_floor: int = 1
    _first: int = 0
    _fresh: bool = False
    _open: Record | None = None

    def start(self) -> list[TripCode]:
        """A process opens the box: intents are closed, an unclean end latches."""
        if self._open is not None:
            self.repaired += 1
            self._keep(Recorded(self._open.technique_id, True, sure=False))
            self._open = None
        if self.running and TripCode.UNCLEAN not in self.latched:
            self.latched.append(TripCode.UNCLEAN)
        self.running = self._fresh = True
        return list(self.latched)

    def store(self) -> Store:
        """How full it is."""
        return Store(self.written - self.consumed, CAPACITY_MIN)

    def intent(self, record: Record) -> None:
        """A pulse is about to start."""
        assert self._open is None, "one pulse at a time"
        self._open, self._fresh = record, False
        self.written += 1
        self.pulse_id_next = record.pulse_id + 1

    def close_pulse(self, record: Record) -> None:
        """How it ended."""
        assert self._open is not None, "a pulse is closed once"
        self._open = None
        if record.xray_on_ns:
            self._keep(Recorded(record.technique_id, True))

    def stray(self, record: Record) -> None:
        """X-rays nobody asked for: lit without a pulse of ours."""
        self.written += 1
        self.strays += 1
        self.on_before += self._fresh
        self._keep(Recorded(record.technique_id, True))

    def _keep(self, recorded: Recorded) -> None:
        assert len(self._records) < RECORDS_MAX, "the account is never moved on"
        self._records.append(recorded)

    @property
    def in_pulse(self) -> bool:
        """An intent is written and not closed yet."""
        return self._open is not None

    @property
    def lit(self) -> int:
        """Records with X-rays, for ever."""
        return self._first + len(self._records)

    def since_account(self) -> list[Recorded]:
        """The records after the last account."""
        skip = 0 if self.account is None else self.account.records - self._first
        return self._records[max(0, skip) :]

    def add(self, recorded: list[Recorded]) -> None:
        """Reconciliation adds what was emitted and not recorded."""
        for one in recorded:
            self._keep(one)
            self.written += 1
        self.copied = self.lit

    def take_back(self, count: int) -> None:
        """The newest `count` records that a crash left open were never emitted."""
        for _ in range(count):
            place = max(at for at, one in enumerate(self._records) if not one.sure)
            del self._records[place]
        self.copied = self.lit

    def consume(self) -> None:
        """The durable copy holds everything that was written."""
        self.consumed, self.copied, self.pulse_id_floor = self.written, self.lit, self.pulse_id_next

    def lose_power(self) -> None:
        """What was not copied is gone, and so are the intent, the latches and the next number."""
        del self._records[max(0, self.copied - self._first) :]
        self.written = self.consumed
        self.latched, self.running, self._open, self.pulse_id_next = [], False, None, 1

    def keep_account(self, account: Account) -> None:
        """Generator and records agree at `account`; older records are not asked for again."""
        self.account = account
        done = account.records - self._first
        if done > 0:
            del self._records[:done]
            self._first = account.records
