"""The room around the executive, as small as an exploration can bear: contacts, panel, generator.

Theory of operation.  Time passes only from one interesting instant to the next, so the room holds
a few absolute times and nothing ticks.  Contacts and interlocks are where the environment last put
them; the monostable, the chain, the panel's window and the generator follow the executive's lines.
A letter waits in a bounded mailbox from its sending to its delivery; its content is fixed when it
is sent, so an order may be stale, foreign or expired when it arrives.

Lives here: the plant, letters and their bytes.  May not live here: which moves there are (`beam`),
or the canonical form (`beam_state`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from realtime.inputs import Inputs, Letter, Peer
from realtime.limits import MONOSTABLE_NS, MS, US, S, Timing
from realtime.wire.codec import pack
from realtime.wire.linebus import KIND_INPUTS, encode
from realtime.wire.lines import (
    IN_SAFE,
    INTERLOCKS,
    NC_CONTACTS,
    UNSAFE_WHEN_HIGH,
    UNSAFE_WHEN_LOW,
    In,
    Out,
)
from realtime.wire.messages import (
    Dark,
    Exercise,
    Exercised,
    Hello,
    Message,
    Mode,
    Order,
    Reset,
    ResetTimer,
    Select,
    Topology,
    Verdict,
)

NOW_NS: Final = 1_000 * S
LONG_AGO_NS: Final = NOW_NS - 100 * S
BOOT_ID: Final = 7
RUN_ID: Final = (BOOT_ID << 20) + 5
EPOCH: Final = 3
SEQ: Final = 100
PERIOD_NS: Final = 40 * MS
SET_US: Final = 4_000
TAIL_US: Final = 1_000
RESTING: Final = INTERLOCKS | NC_CONTACTS
# Every time is a multiple of 1 ms, so that differences of times are few.
TRIGGERED: Final = Timing(
    topology=Topology.CONTROLLER_MASTER, window_ns=13 * MS, readout_ns=18 * MS,
    trigger_delay_ns=1 * MS, base_period_ns=PERIOD_NS, guard_open_ns=500 * US,
    guard_close_ns=500 * US, width_cap_ns=50 * MS, spacing_min_ns=30 * MS, run_max_ns=3_000 * S,
    signal_every_ns=300 * S,
)  # fmt: skip


class Note(NamedTuple):
    """A letter in the mailbox, by pattern: `run` 0 is the run in progress, −1 an earlier one;
    `epoch` likewise; `seq` counts from the newest that was accepted; times are absolute.
    """

    kind: str
    run: int = 0
    epoch: int = 0
    seq: int = 0
    n: int = 0
    expires_ns: int = 0


BANKS: Final = {"order": 0, "order_other": 1, "order_spent": 0, "order_brief": 0}
# How long after the end of the coming pulse each order ends: an order that ends with the pulse is
# too short, one 1 ms longer is enough, the others outlive the next pulse as well.
OUTLIVES_NS: Final = {
    "order": PERIOD_NS + MS, "order_other": MS, "order_spent": PERIOD_NS + MS, "order_brief": 0,
}  # fmt: skip
OF_A_RUN: Final = frozenset({*BANKS, "dark", "verdict_valid", "verdict_invalid"})


@lru_cache(maxsize=200_000)
def order_of(
    run_id: int, epoch: int, seq: int, mode: Mode, bank: int, last_n: int, expires_ns: int,
    topology: Topology,
) -> tuple[Order, bytes]:  # fmt: skip
    """An order and its bytes."""
    order = Order(
        epoch, seq, run_id, mode, int(mode is Mode.HIGH_LEVEL), 9 + bank, bank, last_n,
        expires_ns, topology, PERIOD_NS, 1, SET_US, 0, TAIL_US,
    )  # fmt: skip
    return order, pack(order)


def letter_of(note: Note, mode: Mode, topology: Topology) -> Letter:
    """The letter as the executive gets it."""
    run_id, epoch = RUN_ID + note.run, EPOCH + note.epoch
    if note.kind in BANKS:
        order, raw = order_of(run_id, epoch, SEQ + note.seq, mode, BANKS[note.kind], note.n,
                              note.expires_ns, topology)  # fmt: skip
        return Letter(Peer.SUPERVISOR, order, raw)
    if note.kind == "supervisor_gone":
        return Letter(Peer.SUPERVISOR, None)
    message, peer = _message(note, run_id, epoch)
    return Letter(peer, message, b"")


def _message(note: Note, run_id: int, epoch: int) -> tuple[Message, Peer]:
    kind = note.kind
    if kind.startswith("verdict"):
        return Verdict(run_id, note.n, 1, kind == "verdict_valid", ""), Peer.IMAGING
    if kind.startswith("exercise"):
        return Exercised(epoch, 1, Exercise(kind.partition(" ")[2])), Peer.SUPERVISOR
    made: dict[str, Message] = {
        "dark": Dark(epoch, run_id, "dark"),
        "reset": Reset(epoch),
        "reset_timer": ResetTimer(epoch),
        "select_cine": Select(epoch, Mode.CINE),
        "select_one_shot": Select(epoch, Mode.ONE_SHOT),
        "hello": Hello("supervisor", EPOCH + 1, 1, 0, ""),
    }
    return made[kind], Peer.SUPERVISOR


class Room:
    """The plant.  `healthy` names what works; absolute times are 0 where nothing is due."""

    __slots__ = (
        "closes_ns",
        "edges",
        "epoch",
        "healthy",
        "levels",
        "link",
        "mail",
        "mono_ns",
        "opens_ns",
        "stamps",
        "timing",
        "toggles",
        "unread",
        "xray_off_ns",
        "xray_rises",
    )  # fmt: skip

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.levels = RESTING
        self.link = True
        self.epoch = 1
        self.mail: tuple[Note, ...] = ()
        self.toggles = 0
        self.mono_ns = 0
        self.opens_ns = 0
        self.closes_ns = 0
        self.xray_off_ns = 0
        self.stamps = [LONG_AGO_NS] * 4
        self.unread = 0
        self.healthy = frozenset({"panel", "generator", "monostable", "lamp", "tone", "packets"})
        self.edges = 0
        self.xray_rises = 0

    def put(self, bit: int, level: int, t_ns: int) -> None:
        """One line changes at `t_ns`; its edge is collected as a driver would."""
        before = self.levels
        self.levels = before | 1 << bit if level else before & ~(1 << bit)
        changed = before ^ self.levels
        if not changed:
            return
        self.edges |= (changed & ~self.levels & UNSAFE_WHEN_LOW) | (
            changed & self.levels & UNSAFE_WHEN_HIGH
        )
        if bit in (In.WINDOW, In.XRAY_ON):
            self.stamps[(bit - In.WINDOW) * 2 + (1 - level)] = t_ns
            self.xray_rises += bit == In.XRAY_ON and level

    def next_ns(self) -> int:
        """The next instant at which the plant changes by itself, 0 for none."""
        due = [at for at in (self.opens_ns, self.closes_ns, self.xray_off_ns, self.mono_ns) if at]
        return min(due) if due else 0

    def advance(self, to_ns: int) -> None:
        """Let the plant's own events happen, in order, up to and including `to_ns`."""
        while 0 < (at_ns := self.next_ns()) <= to_ns:
            if at_ns == self.closes_ns:
                self.closes_ns = 0
                self.put(In.WINDOW, 0, at_ns)
            if at_ns == self.opens_ns:
                self._open(at_ns)
            if at_ns == self.xray_off_ns:
                self.xray_off_ns = 0
                self.put(In.XRAY_ON, 0, at_ns)
            if at_ns == self.mono_ns:
                self.mono_ns = self.toggles = 0
                self.put(In.PERMIT_OK, 0, at_ns)
                self._dark(at_ns)
        self.chain(to_ns)

    def _open(self, at_ns: int) -> None:
        free = self.timing.topology is Topology.PANEL_MASTER
        self.opens_ns = at_ns + self.timing.base_period_ns if free else 0
        if "panel" in self.healthy:
            self.put(In.WINDOW, 1, at_ns)
            self.closes_ns = at_ns + self.timing.window_ns

    def chain(self, t_ns: int) -> None:
        """The hard-wired chain: some pedal, e-stop and door."""
        levels = self.levels
        some = levels & (1 << In.FLUORO_NO | 1 << In.HIGH_NO | 1 << In.CINE_NO)
        closed = bool(some) and bool(levels >> In.ESTOP & 1) and bool(levels >> In.DOOR & 1)
        self.put(In.CHAIN_OK, int(closed), t_ns)
        if not closed:
            self._dark(t_ns)

    def _dark(self, t_ns: int) -> None:
        self.xray_off_ns = 0
        if "xray_sticks" not in self.healthy:
            self.put(In.XRAY_ON, 0, t_ns)

    def apply(self, before: int, lines: int, now_ns: int) -> None:
        """The executive's bank reaches the plant."""
        changed = before ^ lines
        if changed & 1 << Out.PERMIT:
            self.toggles = min(self.toggles + 1, 2)
            self.mono_ns = now_ns + MONOSTABLE_NS
            if self.toggles >= 2 and "monostable" in self.healthy:
                self.put(In.PERMIT_OK, 1, now_ns)
        if changed & 1 << Out.PULSE:
            self._pulse(bool(lines & 1 << Out.PULSE), now_ns)
        if changed & lines & 1 << Out.PANEL_TRIGGER and not self.opens_ns:
            self.opens_ns = now_ns + self.timing.trigger_delay_ns
        for out, back, name in ((Out.TONE, In.TONE_READBACK, "tone"),
                                (Out.LAMP, In.LAMP_READBACK, "lamp")):  # fmt: skip
            if name in self.healthy:
                self.put(back, lines >> out & 1, now_ns)

    def _pulse(self, rises: bool, now_ns: int) -> None:
        if not rises:
            self._dark(now_ns)
            return
        needed = 1 << In.WINDOW | 1 << In.PERMIT_OK | 1 << In.CHAIN_OK
        if "generator" in self.healthy and self.levels & needed == needed:
            self.put(In.XRAY_ON, 1, now_ns)
            self.xray_off_ns = now_ns + SET_US * US

    def inputs(self) -> Inputs:
        """What the line driver says now; edges are given out once."""
        edges, rises = self.edges, self.xray_rises
        self.edges = self.xray_rises = 0
        levels = self.levels if self.link else IN_SAFE
        a, b, c, d = self.stamps
        return Inputs(self.link, self.epoch, levels, edges, a, b, c, d, rises)

    def packet(self) -> bytes:
        """The newest raw packet, for the last gate."""
        return _packet(self.levels) if self.link and "packets" in self.healthy else b""


@lru_cache(maxsize=10_000)
def _packet(levels: int) -> bytes:
    return encode(KIND_INPUTS, 1, 1, levels)
