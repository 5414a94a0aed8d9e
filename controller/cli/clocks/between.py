"""Who sits in a socket between two processes: a relay that loses or delays what it carries.

Theory of operation.  A server listens at a path; the relay renames that socket file, listens in its
place, and connects each client to the server behind.  Both ends then hold a real connection, and
what is lost is lost on the wire.  The client has to connect anew once, so it is ended and started
again by the launcher before the first case.

Lives here: the relay, the wires by their names in virtual time, and the windows on them.  May not
live here: what a message means; it is carried as bytes, whole.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.cli.clocks.strikes import MS, Strike
from controller.cli.stage import READY_MAX_S, Stage
from hil.room.records import NEVER, TruthRecord
from hil.sim.means import WIRES
from realtime.wire.messages import MESSAGE_BYTES_MAX

# The slowest wire delays by a second or so, at some ten messages in each frame period.
CARRIED_MAX: Final = 4_096
PAIRS_MAX: Final = 8
POLL_S: Final = 0.2


@dataclass(slots=True)
class Way:
    """One direction: how many of the next messages are lost, and by how much the others are late.

    `harmed_ns` is when the first since `harm` was lost or delayed, `whole_ns` when one was carried
    at once again; 0: none yet.
    """

    lose: int = 0
    extra_ns: int = 0
    harmed_ns: int = 0
    whole_ns: int = 0

    def harm(self, lose: int, extra_ns: int) -> None:
        """From now on."""
        self.lose, self.extra_ns = lose, extra_ns
        self.harmed_ns = self.whole_ns = 0

    def clear(self) -> None:
        """From now on everything is carried at once."""
        self.lose = self.extra_ns = 0

    def takes(self, now_ns: int) -> bool:
        """Whether a message is carried; one that is not is lost."""
        if self.lose or self.extra_ns:
            self.harmed_ns = self.harmed_ns or now_ns
        elif self.harmed_ns:
            self.whole_ns = self.whole_ns or now_ns
        if not self.lose:
            return True
        self.lose -= 1
        return False


@dataclass(eq=False, slots=True)
class _End:
    """One end of a connection: what is read here goes to `other`, by `way`."""

    here: socket.socket
    way: Way
    carried: deque[tuple[int, bytes]] = field(default_factory=deque)
    other: _End | None = None


class Relay:
    """In the place of the server at `path` from `start` to `stop`."""

    def __init__(self, path: Path) -> None:
        self.to_server, self.to_client = Way(), Way()
        self._path, self._behind = path, path.with_name(f"{path.name}.behind")
        self._ends: list[_End] = []
        self._over = False
        self._thread = threading.Thread(target=self._go_on, name=f"relay {path.name}")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    @property
    def carries(self) -> bool:
        """A client is connected through."""
        return bool(self._ends)

    def start(self) -> None:
        """Take the place; raises OSError."""
        self._path.rename(self._behind)
        self._listener.bind(str(self._path))
        self._listener.listen(PAIRS_MAX)
        self._thread.start()

    def stop(self) -> None:
        """Carry nothing any more."""
        self._over = True
        self._thread.join()

    def _go_on(self) -> None:
        try:
            while not self._over:
                heard = [self._listener, *(end.here for end in self._ends)]
                readable, _, _ = select.select(heard, [], [], self._wait_s())
                if self._listener in readable:
                    self._accept()
                for end in list(self._ends):
                    if (end.here in readable and not self._read(end)) or not self._carry(end):
                        self._part(end)
        finally:
            for end in list(self._ends):
                self._part(end)
            self._listener.close()

    def _wait_s(self) -> float:
        dues = [end.carried[0][0] for end in self._ends if end.carried]
        return min([POLL_S, *(max(0, due - time.monotonic_ns()) / 1e9 for due in dues)])

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            server.connect(str(self._behind))
        except OSError:
            # Nobody serves behind: to the client that is a server that is away.
            client.close()
            server.close()
            return
        near, far = _End(client, self.to_server), _End(server, self.to_client)
        near.other, far.other = far, near
        self._ends += [near, far]
        assert len(self._ends) <= 2 * PAIRS_MAX, "clients that come and never go"

    def _read(self, end: _End) -> bool:
        try:
            message = end.here.recv(MESSAGE_BYTES_MAX)
        except OSError:
            return False
        now_ns = time.monotonic_ns()
        if message and end.way.takes(now_ns):
            end.carried.append((now_ns + end.way.extra_ns, message))
        return bool(message) and len(end.carried) <= CARRIED_MAX and self._carry(end)

    def _carry(self, end: _End) -> bool:
        assert end.other is not None
        try:
            while end.carried and end.carried[0][0] <= time.monotonic_ns():
                end.other.here.send(end.carried[0][1], socket.MSG_DONTWAIT)
                end.carried.popleft()
        except OSError:
            return False
        return True

    def _part(self, end: _End) -> None:
        for one in (end, end.other):
            if one in self._ends:
                assert one is not None
                self._ends.remove(one)
                one.here.close()


class RelayedStage(Stage):
    """A stage with a relay in each socket that the named wires need."""

    def __init__(self, config: Path, wires: Iterable[str]) -> None:
        super().__init__(config)
        self.wires = frozenset(wires)
        self.relays: dict[str, Relay] = {}

    def take_places(self) -> None:
        """Put the relays in, on a machine that is up; raises StageError, OSError."""
        # imaging connects to the supervisor as well, so the supervisor's own wire comes first.
        for client in ("supervisor", "imaging"):
            names = {WIRES[wire].socket for wire in self.wires if WIRES[wire].client == client}
            for name in sorted(names):
                self.relays[name] = Relay(self.run_dir / name)
                self.relays[name].start()
            if names:
                self._connect_anew(client, [self.relays[name] for name in names])

    def _connect_anew(self, client: str, relays: list[Relay]) -> None:
        os.kill(self.pid(client), signal.SIGTERM)
        self.wait(f"{client} through the relay", lambda: all(one.carries for one in relays),
                  READY_MAX_S)  # fmt: skip
        self.wait("everybody", lambda: bool(self.mode()), READY_MAX_S)

    def way(self, wire: str) -> Way:
        """The direction of a relay that is the wire of this name."""
        relay = self.relays[WIRES[wire].socket]
        return relay.to_server if WIRES[wire].to_server else relay.to_client

    def end(self) -> None:
        """As every stage, and the relays go last."""
        super().end()
        for relay in self.relays.values():
            with contextlib.suppress(RuntimeError):
                relay.stop()


class OnWire(Strike):
    """A wire that loses the next messages, or is slow, from the onset to the end of the window."""

    def _begin(self, now_ns: int) -> None:
        self._way = Way()

    def _act(self, now_ns: int) -> None:
        assert isinstance(self._stage, RelayedStage)
        if self.due_ns == self._onset_ns:
            self._way = self._stage.way(self.window.instance)
            amount = self.window.amount or self.window.row.amount
            loses = self.window.type == "loses"
            self._way.harm(max(1, int(amount)) if loses else 0, 0 if loses else round(amount * MS))
            self.due_ns = self._onset_ns + (self.window.duration_ns or NEVER)
        else:
            self._end()
            self.due_ns = NEVER

    def _end(self) -> None:
        self._way.clear()

    def _reckon(self, records: list[TruthRecord]) -> None:
        self.effect_ns, self.cleared_ns = self._way.harmed_ns, self._way.whole_ns
        self._found(records, self._onset_ns)
