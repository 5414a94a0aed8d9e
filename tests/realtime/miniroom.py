"""A miniature room in pure integer nanoseconds, around one executive and one last gate.

Lives here: contacts, interlocks, panel, generator, monostable, chain, supervisor and imaging, each
as small as a story needs.  May not live here: the oracle that judges each turn (`oracle`), clocks,
sockets, chance, or anything of the deciding modules' tables.

`Room.until(t_ns)` lets time pass; `at(t_ns, act, *words)` books an act.  Times count from T0_NS.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Peer, Store
from realtime.limits import MS, US, Timing
from realtime.permit import Gate
from realtime.trips import Inhibit, TripCode
from realtime.turn import rehearse, strike, turn
from realtime.wire.codec import pack
from realtime.wire.linebus import KIND_INPUTS, SEQ_MODULUS, encode
from realtime.wire.lines import IN_SAFE, PEDALS, UNSAFE_WHEN_HIGH, UNSAFE_WHEN_LOW, In, Out
from realtime.wire.messages import (
    EndReason,
    Hello,
    Message,
    Mode,
    Order,
    Pedal,
    Press,
    PulseReport,
    RunEnd,
    Topology,
    Verdict,
)
from tests.realtime.logbook import Logbook
from tests.realtime.oracle import CONTACTS, Oracle, judge
from tests.realtime.roomparts import (
    BOOT_ID,
    EPOCH,
    MONOSTABLE_NS,
    RESTING,
    T0_NS,
    TIMING,
    Shine,
    Technique,
)


class Room(Logbook):
    """The room; every attribute may be changed by a story between two calls of `until`."""

    def __init__(
        self,
        timing: Timing = TIMING,
        latched: list[TripCode] | None = None,
        standing: list[Inhibit] | None = None,
        gate: Gate | None = None,
        inhibited: bool = False,
        t0_ns: int = T0_NS,
    ) -> None:
        self.timing = timing
        self.executive = Executive(timing, BOOT_ID, 1, latched or [], standing or [], inhibited)
        self.gate = gate or Gate(timing.spacing_min_ns, timing.width_cap_ns // US, inhibited)
        self.t0_ns = self.now_ns = t0_ns
        self.levels = RESTING
        self.link = True
        self.link_epoch = 1
        self.store = Store(0, 32_768)
        self.technique = Technique()
        self.order_epoch = EPOCH
        self.prep_ns = 10 * MS
        self.renewing = True
        self.crediting = True
        self.judging: Callable[[int], bool | None] = lambda n: True
        self.verdict_delay_ns = 23 * MS
        self.generator_on = self.panel_on = True
        self.tone_on = self.lamp_on = self.monostable_on = True
        self.monostable_ns = MONOSTABLE_NS
        self.asleep = False
        self.judged = True
        self.as_loop = True
        self.rehearsed = 0
        self._exact = False
        self.lines = 0
        self.turns: list[tuple[int, int, str]] = []
        self.posts = []
        self.shines: list[Shine] = []
        self.rises: list[int] = []
        self.falls: list[int] = []
        self.records: list[Any] = []
        self.run_id = 0
        self.credit = 1
        self.order_seq = 0
        self.last_order: Order | None = None
        self.oracle = Oracle(up_since_ns=t0_ns)
        self._agenda: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._booked = 0
        self._mail: list[Letter] = []
        self._edges = 0
        self._stamps = [0, 0, 0, 0]
        self._xray_rises = self._edge_ns = 0
        self._seq = SEQ_MODULUS - 40  # wraps early in every story
        self._packet = encode(KIND_INPUTS, self._seq, self.now_ns, self.levels)
        self._wake_ns = self.now_ns
        self._toggles: list[int] = []
        self._news = False
        self._refresh()
        if timing.topology is Topology.PANEL_MASTER:
            self.at(t0_ns + 5 * MS, self._free_window)
        self.connect()

    # Acts of a story ---------------------------------------------------------------------------

    def at(self, t_ns: int, act: Callable[..., None], *words: Any) -> None:
        """Book an act; acts of one instant happen in the order of booking."""
        self._booked += 1
        heapq.heappush(self._agenda, (t_ns, self._booked, act, words))

    def after(self, ms: float, act: Callable[..., None], *words: Any) -> None:
        """Book an act `ms` from now."""
        self.at(self.now_ns + round(ms * MS), act, *words)

    def connect(self, epoch: int = EPOCH, floor: int = 0) -> None:
        """Supervisor and imaging come, with Hello."""
        self.order_epoch = epoch
        for peer in Peer:
            self.links(peer, up=True)
            self._mail.append(Letter(peer, Hello(peer.value, epoch, 1, floor, "")))

    def letter(self, message: Message, peer: Peer = Peer.SUPERVISOR) -> None:
        """Hand a message to the executive's next turn."""
        self._mail.append(Letter(peer, message, pack(message)))
        self._news = True

    def press(self, pedal: Pedal = Pedal.FLUORO) -> None:
        """Both contacts of a pedal change."""
        no, nc = CONTACTS[pedal]
        self.put(no, 1)
        self.put(nc, 0)

    def release(self, pedal: Pedal = Pedal.FLUORO) -> None:
        """Both contacts go back."""
        no, nc = CONTACTS[pedal]
        self.put(no, 0)
        self.put(nc, 1)

    def put(self, bit: int, level: int) -> None:
        """One line changes; the edge is collected as a driver would."""
        old = self.levels
        self.levels = old | 1 << bit if level else old & ~(1 << bit)
        changed = old ^ self.levels
        if not changed:
            return
        self._edges |= (changed & ~self.levels & UNSAFE_WHEN_LOW) | (
            changed & self.levels & UNSAFE_WHEN_HIGH
        )
        if PEDALS >> bit & 1:
            self._edge_ns = self.now_ns
        if bit in (In.WINDOW, In.XRAY_ON):
            self._stamps[(bit - In.WINDOW) * 2 + (1 - level)] = self.now_ns
            self._xray_rises += bit == In.XRAY_ON and level
        self._snapshot()

    def unplug(self) -> None:
        """The line bus is lost."""
        self.link = False
        self._news = True

    def plug(self) -> None:
        """The line bus is back: a new epoch."""
        self.link = True
        self.link_epoch += 1
        self._edges = 0
        self.oracle.stop(self.now_ns)
        self._snapshot()

    def sleep(self, ms: float) -> None:
        """The executive's process stands still; the room goes on."""
        self.asleep = True
        self.after(ms, setattr, self, "asleep", False)
        self.after(ms, setattr, self, "_news", True)

    def until(self, t_ns: int) -> None:
        """Let time pass to `t_ns` after the start."""
        end_ns = self.t0_ns + t_ns
        while True:
            wake_ns = self.now_ns if self._news else self._wake_ns
            wake_ns = end_ns + 1 if self.asleep else wake_ns
            next_ns = min(wake_ns, self._agenda[0][0] if self._agenda else end_ns + 1)
            if next_ns > end_ns:
                break
            self.now_ns = max(self.now_ns, next_ns)
            while self._agenda and self._agenda[0][0] <= self.now_ns:
                _, _, act, words = heapq.heappop(self._agenda)
                act(*words)
            if not self.asleep and (self._news or self.now_ns >= self._wake_ns):
                self.turn()
        self.now_ns = end_ns

    def run_for(self, ms: float) -> None:
        """Let `ms` pass from now."""
        self.until(self.now_ns - self.t0_ns + round(ms * MS))

    def ready(self) -> Room:
        """Let the pedals be seen released; the usual start of a story."""
        self.run_for(100)
        return self

    def links(self, peer: Peer, up: bool) -> None:
        """A peer comes or goes."""
        self._mail.append(Letter(peer, None, link_up=up))
        self._news = True

    @property
    def window_rise_ns(self) -> int:
        """When WINDOW rose last."""
        return self._stamps[0]

    # The room itself ---------------------------------------------------------------------------

    def _refresh(self) -> None:
        self._snapshot()
        self.after(5, self._refresh)

    def _snapshot(self) -> None:
        self._seq = (self._seq + 1) % SEQ_MODULUS
        self._packet = encode(KIND_INPUTS, self._seq, self.now_ns, self.levels)
        self._news = True
        self.oracle.watch(self.now_ns, self.levels)

    def _free_window(self) -> None:
        self.at(self.now_ns + self.timing.base_period_ns, self._free_window)
        self._open_window()

    def _open_window(self) -> None:
        if self.panel_on:
            self.put(In.WINDOW, 1)
            self.at(self.now_ns + self.timing.window_ns, self.put, In.WINDOW, 0)

    def _monostable(self) -> None:
        alive = self._toggles and self.now_ns < self._toggles[-1] + self.monostable_ns
        if not alive:
            self._toggles.clear()
            self._end_shine()
        self.put(In.PERMIT_OK, int(self.monostable_on and len(self._toggles) >= 2))

    def _chain(self) -> None:
        some = any(self.levels >> no & 1 for no, _ in CONTACTS.values())
        closed = some and self.levels >> In.ESTOP & 1 and self.levels >> In.DOOR & 1
        self.put(In.CHAIN_OK, int(bool(closed)))
        if not closed:
            self._end_shine()

    def _pulse_rises(self) -> None:
        self.rises.append(self.now_ns)
        needed = (In.PERMIT_OK, In.CHAIN_OK, In.WINDOW)
        if self.generator_on and all(self.levels >> bit & 1 for bit in needed):
            shine = Shine(self.now_ns)
            self.shines.append(shine)
            self.after(0.1, self._xray, shine, 1)
            width_us = self.technique.rise_us + self.technique.set_us
            self.at(self.now_ns + width_us * US, self._end_shine)

    def _end_shine(self) -> None:
        if self.shines and not self.shines[-1].end_ns:
            shine = self.shines[-1]
            shine.end_ns = self.now_ns
            self.after(0.15, self._xray, shine, 0)

    def _xray(self, shine: Shine, level: int) -> None:
        if shine is self.shines[-1]:
            self.put(In.XRAY_ON, level)

    def _apply(self, lines: int) -> None:
        changed, self.lines = lines ^ self.lines, lines
        if changed & 1 << Out.PERMIT:
            self._toggles.append(self.now_ns)
            del self._toggles[:-2]
            self.after(0.05, self._monostable)
            self.at(self.now_ns + self.monostable_ns, self._monostable)
        if changed & lines & 1 << Out.PULSE:
            self._pulse_rises()
        elif changed & 1 << Out.PULSE:
            self.falls.append(self.now_ns)
            self._end_shine()
        if changed & lines & 1 << Out.PANEL_TRIGGER and self.timing.topology is not (
            Topology.PANEL_MASTER
        ):
            self.at(self.now_ns + self.timing.trigger_delay_ns, self._open_window)
        for out, back, works in (
            (Out.TONE, In.TONE_READBACK, self.tone_on),
            (Out.LAMP, In.LAMP_READBACK, self.lamp_on),
        ):
            if changed & 1 << out and works:
                self.after(1, self.put, back, lines >> out & 1)

    def turn(self) -> None:
        """One turn on what is true now, in the order of the loop; the oracle judges its outcome."""
        self._news = False
        self._chain()
        inputs = self._inputs()
        packet = self._packet if self.link else b""
        if self.as_loop and self._exact:
            struck = strike(self.executive, self.gate, self.now_ns, inputs, packet, self.now_ns)
            if struck is not None:
                self._take(struck)
        mail, self._mail = self._mail, []
        withdrawn = self._withdraw(packet)
        out = turn(self.executive, self.gate, self.now_ns, inputs, mail, self.store, packet,
                   self.now_ns, withdrawn)  # fmt: skip
        assert out.wake_ns > self.now_ns, "every turn asks for a later one"
        self._wake_ns, self._exact = out.wake_ns, out.exact
        self._take(out)
        if self.as_loop and out.exact:
            record = rehearse(self.executive, self.gate, self.now_ns, packet, self.now_ns)
            self.rehearsed += record is not None

    def _take(self, out: Outputs) -> None:
        before = self.lines
        if self.judged:
            judge(self, before, out.lines)
        self._apply(out.lines)
        if self.turns and self.turns[-1][2] == "tripped":
            self.oracle.stop(self.now_ns)
        self.turns.append((self.now_ns, out.lines, self.executive.state.value))
        self.records += [r for r in (out.intent, out.closed, out.stray) if r is not None]
        for peer, message in out.posts:
            self._deliver(peer, message)

    def _withdraw(self, packet: bytes) -> str:
        """What the loop does first while PULSE is high: ask the gate whether it still may be."""
        if not self.as_loop or not self.lines & 1 << Out.PULSE or self.executive.exercise:
            return ""
        code = self.gate.withdraws(self.now_ns, packet, self.now_ns)
        if code:
            self._apply(self.lines & ~(1 << Out.PULSE))
            self.executive.outlines.sent = self.lines
        return code

    def _inputs(self) -> Inputs:
        edges, self._edges = self._edges, 0
        rises, self._xray_rises = self._xray_rises, 0
        levels = self.levels if self.link else IN_SAFE
        a, b, c, d = self._stamps
        return Inputs(self.link, self.link_epoch, levels, edges, a, b, c, d, rises, self._edge_ns)

    # Supervisor and imaging --------------------------------------------------------------------

    def _deliver(self, peer: Peer, message: Message) -> None:
        self.posts.append((self.now_ns, peer, message))
        if peer is Peer.SUPERVISOR and isinstance(message, Press):
            self.run_id = message.run_id
            self.credit = 1
            self.oracle.valid_n = -1
            self.last_order = None
            self.at(self.now_ns + self.prep_ns, self._renew, message)
        elif peer is Peer.SUPERVISOR and isinstance(message, RunEnd):
            self.run_id = 0
            if message.reason is not EndReason.RELEASE:
                self.oracle.stop(self.now_ns)
        elif peer is Peer.IMAGING and isinstance(message, PulseReport):
            self.at(self.now_ns + self.verdict_delay_ns, self._verdict, message)

    def order_for(self, press: Press, **changed: Any) -> Order:
        """The order the supervisor would send now; `changed` fields differ."""
        t = self.technique
        self.order_seq += 1
        order = Order(
            self.order_epoch, self.order_seq, press.run_id, t.mode or press.mode,
            int((t.mode or press.mode) is Mode.HIGH_LEVEL), t.technique_id, t.bank,
            self.credit, self.now_ns + t.lease_ns, self.timing.topology,
            t.period_num_ns, t.period_den, t.set_us, t.rise_us, t.tail_us,
        )  # fmt: skip
        return replace(order, **changed)

    def _renew(self, press: Press) -> None:
        if self.run_id != press.run_id:
            return
        if self.renewing:
            self.last_order = self.order_for(press)
            self.letter(self.last_order)
        self.after(25, self._renew, press)

    def _verdict(self, report: PulseReport) -> None:
        if self.crediting:
            self.credit = max(self.credit, report.pulse_n + 2)
        valid = self.judging(report.pulse_n)
        if valid is None or report.run_id != self.run_id:
            return
        if valid:
            self.oracle.valid_n = max(self.oracle.valid_n, report.pulse_n)
        self.letter(Verdict(report.run_id, report.pulse_n, 1, valid, ""), Peer.IMAGING)
