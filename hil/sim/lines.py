"""The line bus in virtual time: numbered snapshots with delay, loss and silence.

Lives here: what the executive's line driver makes of the room's edges (`docs/line-bus.md`), without
a socket.  May not live here: what a level means.  Snapshots that repeat the last one every 5 ms are
not events: while the bus is healthy the age of the bank follows from the time of asking.  Their
*absence* is an event: silence, a lost number, a closed connection.
"""

from __future__ import annotations

from typing import Final

from hil.sim.chance import Stream
from hil.sim.clockwork import Clockwork, HostClock
from realtime.inputs import Inputs
from realtime.wire.linebus import KIND_INPUTS, SEQ_MODULUS, encode
from realtime.wire.lines import (
    IN_SAFE,
    MAX_AGE_MS,
    PEDALS,
    SNAPSHOT_PERIOD_MS,
    UNSAFE_WHEN_HIGH,
    UNSAFE_WHEN_LOW,
    In,
)

MS: Final = 1_000_000
PERIOD_NS: Final = SNAPSHOT_PERIOD_MS * MS
AGE_NS: Final = MAX_AGE_MS * MS
DELAY_NS: Final = (15_000, 60_000)
# A socket holds this many packets; a reader that is away longer has lost its connection.
BACKLOG_MAX: Final = 256
_WINDOW: Final = 1 << In.WINDOW
_XRAY: Final = 1 << In.XRAY_ON


class LineBus:
    """One connection.  `wake` is called when a packet has arrived, with its rig time."""

    def __init__(self, clockwork: Clockwork, clock: HostClock, seed: int, seq: int = 0) -> None:
        self._clockwork = clockwork
        self._clock = clock
        self._chance = Stream(seed, "line bus")
        self._queue: list[tuple[int, int, int, bool]] = []
        self._arrival_ns = 0
        self._last_sent_ns = 0
        self._read_sent_ns = 0
        self._heard = False
        self._room_levels = IN_SAFE
        self.connected = False
        self._gap = False
        self._keeping_until_ns: int | None = None
        self._stale_ns = 0
        self.seq = seq % SEQ_MODULUS
        self.epoch = 0
        self.gaps = 0
        self.levels = IN_SAFE
        self.received_ns = 0
        self.packet = b""
        self.wall_steps = 0
        self._wall_stepped = False
        self._turn_ns = 0
        self._window_rise_ns = self._window_fall_ns = 0
        self._xray_rise_ns = self._xray_fall_ns = 0
        self._pedal_edge_ns = 0

    # ── the rig's end ────────────────────────────────────────────────────────────────────────

    def show(self, t_ns: int, levels: int, *, lost: bool = False) -> int:
        """The room's bank is `levels` from `t_ns` on; returns when the packet arrives, 0: never."""
        self._room_levels = levels
        if not self.connected:
            return 0
        self.seq = (self.seq + 1) % SEQ_MODULUS
        self._last_sent_ns = t_ns
        if lost:
            self._gap = True
            return 0
        return self._send(t_ns, levels)

    def remember(self, levels: int) -> None:
        """The bank has changed while nothing leaves; the next snapshot will say so."""
        self._room_levels = levels

    def repeat(self, t_ns: int) -> int:
        """A snapshot of the period, where it matters: after a loss or a silence."""
        return self.show(t_ns, self._room_levels)

    def next_repeat_ns(self, t_ns: int) -> int:
        """When the next snapshot of the period is due after `t_ns`."""
        passed_ns = t_ns - self._last_sent_ns
        return self._last_sent_ns + (passed_ns // PERIOD_NS + 1) * PERIOD_NS

    def silent_from(self, t_ns: int) -> int:
        """No snapshot leaves from `t_ns` on; returns when the last one has grown too old."""
        last_ns = max(self._last_sent_ns, self.next_repeat_ns(t_ns) - PERIOD_NS)
        self._keeping_until_ns = last_ns
        self._stale_ns = max(self._arrival_ns, last_ns + DELAY_NS[1]) + AGE_NS + 1
        return self._stale_ns

    def speaks_again(self) -> None:
        """Snapshots leave again; the first is sent by `repeat`."""
        self._keeping_until_ns = None
        self._stale_ns = 0

    def connect(self, t_ns: int) -> int:
        """(Re)connect: numbers start afresh, a first snapshot is sent."""
        self.connected = True
        self._heard = False
        self.epoch += 1
        self._queue.clear()
        self._gap = False
        return self.show(t_ns, self._room_levels)

    def disconnect(self) -> None:
        """The connection is closed: every input reads safe."""
        self.connected = False
        self.epoch += 1
        self._queue.clear()
        self.levels = IN_SAFE

    def _send(self, t_ns: int, levels: int) -> int:
        arrival_ns = max(self._arrival_ns + 1, t_ns + self._chance.between(*DELAY_NS))
        self._arrival_ns = arrival_ns
        self._queue.append((arrival_ns, t_ns, levels, self._gap))
        self._gap = False
        return arrival_ns

    # ── the executive's end ──────────────────────────────────────────────────────────────────

    def next_news_ns(self, t_ns: int) -> int:
        """When after `t_ns` the next packet arrives, or the last one grows too old; 0: never."""
        if self._queue:
            return self._queue[0][0]
        return self._stale_ns if self._stale_ns > t_ns else 0

    def step_wall_clock(self) -> None:
        """Stamps that the kernel took before and after cannot be told apart at the next turn."""
        self.wall_steps += 1
        self._wall_stepped = True

    def drain(self, t_ns: int, now_ns: int) -> Inputs:
        """Read what has arrived by the rig's `t_ns`, which the host reads as `now_ns`."""
        edges = rises = 0
        whole = True
        queue = self._queue
        if queue and queue[0][0] <= t_ns:
            taken = 0
            for arrival_ns, sent_ns, levels, gap in queue:
                if arrival_ns > t_ns:
                    break
                taken += 1
                if gap:
                    self.gaps += 1
                    self.epoch += 1
                    whole = False
                self._read_sent_ns = sent_ns
                self._heard = True
                self.received_ns = self._stamp(arrival_ns)
                edges, rises = self._note(levels, edges, rises)
            del queue[:taken]
            self.packet = encode(KIND_INPUTS, self.seq, self.received_ns, self.levels)
        elif now_ns - self.received_ns > AGE_NS and self.connected and self._heard:
            self._age(t_ns)
        self._turn_ns = now_ns
        self._wall_stepped = False
        fresh = self._heard and now_ns - self.received_ns <= AGE_NS
        link = whole and self.connected and fresh
        return Inputs(
            link, self.epoch, self.levels if link else IN_SAFE, edges, self._window_rise_ns,
            self._window_fall_ns, self._xray_rise_ns, self._xray_fall_ns, rises,
            self._pedal_edge_ns,
        )  # fmt: skip

    def _stamp(self, arrival_ns: int) -> int:
        """The kernel's stamp; across a step of the wall clock only a lower bound is known."""
        return self._turn_ns if self._wall_stepped else self._clock.of(arrival_ns)

    def _age(self, t_ns: int) -> None:
        """The last repetition that has arrived without being an event."""
        until_ns = t_ns if self._keeping_until_ns is None else min(t_ns, self._keeping_until_ns)
        passed_ns = until_ns - self._read_sent_ns - DELAY_NS[0]
        if passed_ns >= PERIOD_NS:
            repeat_ns = self._read_sent_ns + passed_ns // PERIOD_NS * PERIOD_NS + DELAY_NS[0]
            self.received_ns = max(self.received_ns, self._clock.of(repeat_ns))

    def _note(self, levels: int, edges: int, rises: int) -> tuple[int, int]:
        changed = levels ^ self.levels
        rose, fell = changed & levels, changed & ~levels
        edges |= (fell & UNSAFE_WHEN_LOW) | (rose & UNSAFE_WHEN_HIGH)
        if changed & PEDALS:
            self._pedal_edge_ns = self.received_ns
        if rose & _WINDOW:
            self._window_rise_ns = self.received_ns
        elif fell & _WINDOW:
            self._window_fall_ns = self.received_ns
        if rose & _XRAY:
            self._xray_rise_ns = self.received_ns
            rises += 1
        elif fell & _XRAY:
            self._xray_fall_ns = self.received_ns
        self.levels = levels
        return edges, rises
