"""The process `realtime` in virtual time: the shipped executive and gate, turned by events.

Lives here: when a turn is taken and what it costs, the mailbox, and what becomes of a process that
is killed, stopped or blocked.  May not live here: decisions.  A turn is taken when its instant has
come, when a packet or a letter has arrived, never before the last one is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hil.sim.chance import Stream
from hil.sim.horizon import horizon_ns, kept_turning
from realtime.beam import BeamState
from realtime.executive import Executive
from realtime.inputs import Inputs, Letter, Outputs, Peer
from realtime.limits import REST_TURN_NS, STATE_PERIOD_NS, TURN_MAX_NS, Timing
from realtime.permit import Gate
from realtime.trips import TripCode
from realtime.turn import turn
from realtime.wire.codec import pack
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import Hello, Message, Order, State

if TYPE_CHECKING:
    from hil.sim.world import World

NEVER: Final = (1 << 63) - 1
_PULSE: Final = mask(Out.PULSE)
# The lines that every pulse moves.
_CYCLE: Final = mask(In.WINDOW, In.XRAY_ON, In.PERMIT_OK)
# From the arrival of a packet to its turn, and what one turn occupies the processor.
WAKE_NS: Final = (15_000, 70_000)
# What a planned turn is late by: where the loop spins for a pulse, and where it sleeps.
SPIN_NS: Final = (0, 3_000)
SLEEP_NS: Final = (5_000, 60_000)
REST_NS: Final = (0, REST_TURN_NS)
TURN_COST_NS: Final = (20_000, 90_000)
SEND_NS: Final = (8_000, 30_000)
LETTERS_MAX: Final = 256


class BeamProcess:
    """`alive` while it exists, `stopped` while it is not scheduled."""

    def __init__(self, world: World, timing: Timing, cap_us: int) -> None:
        self._world = world
        self._timing = timing
        self._cap_us = cap_us
        self._chance = Stream(world.seed, "realtime")
        self.alive = False
        self.stopped = False
        self.turns = 0
        self.boot_id = 0
        self.skips_idle = True
        self.executive = Executive(timing, 0, 1, [], [])
        self.gate = Gate(timing.spacing_min_ns, cap_us)
        self._mail: list[Letter] = []
        self._free_ns = 0
        self._due_ns = NEVER
        self._planned_ns = 0
        self._away_ns = NEVER
        self._settled = False
        self._reported = False
        self._at_rest = False
        self._seen = Inputs()

    def _fresh(self) -> Executive:
        box = self._world.box
        return Executive(self._timing, self.boot_id, box.pulse_id_next, box.start(), [])

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """A new process: nothing is remembered but the black box."""
        t_ns = self._world.clockwork.now_ns
        self.boot_id += 1
        self.executive = self._fresh()
        self.gate = Gate(self._timing.spacing_min_ns, self._cap_us)
        self._mail.clear()
        self.alive, self.stopped, self._at_rest = True, False, False
        self._free_ns = t_ns
        self._plan(t_ns)

    def hello(self) -> Hello:
        """What it says to whoever connects."""
        return Hello("realtime", self.boot_id, 1000 + self.boot_id,
                     self.executive.firing.pulse_id_next, "")  # fmt: skip

    def kill(self) -> None:
        """SIGKILL: no turn is ever taken again; lines stay as they are."""
        self.alive = False
        self._due_ns = NEVER

    def fail(self) -> None:
        """An exception: what `Loop.fail` does, and the clean end of the black box."""
        world, box = self._world, self._world.box
        t_ns = world.clockwork.now_ns
        sent = self.executive.outlines.sent
        world.drive(t_ns + self._chance.between(*SEND_NS), sent & ~mask(Out.PULSE))
        before, box.latched = box.latched, [*self.executive.trips, TripCode.CRASH]
        world.observed.tripped(t_ns, before, box.latched)
        box.running = False
        self.kill()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True
        self._leave()

    def cont(self) -> None:
        """SIGCONT: what waited is looked at now."""
        self.stopped = False
        self._wake(self._world.clockwork.now_ns)

    def block(self, for_ns: int) -> None:
        """The loop is away for `for_ns` (collector, page fault, another process)."""
        self._leave()
        self._free_ns = max(self._free_ns, self._world.clockwork.now_ns) + for_ns
        if self.alive:
            self._plan(self._free_ns)

    def _leave(self) -> None:
        """From now on the loop does not turn, whether anything is due or not."""
        self._away_ns = min(self._away_ns, self._world.clockwork.now_ns)

    # ── news ─────────────────────────────────────────────────────────────────────────────────

    def letter(self, peer: Peer, message: Message | None, link_up: bool = False) -> None:
        """A letter has arrived at its desk."""
        if not self.alive:
            return
        # A desk reads 32 letters a turn and its socket holds some hundred more.
        if len(self._mail) < LETTERS_MAX:
            raw = pack(message) if isinstance(message, Order) else b""
            self._mail.append(Letter(peer, message, raw, link_up))
        self._wake(self._world.clockwork.now_ns)

    def wake(self, arrival_ns: int) -> None:
        """A line packet arrives at `arrival_ns`; at rest it waits for the loop's own turn."""
        if self.alive and arrival_ns:
            waits_ns = self._chance.between(*REST_NS) if self._at_rest else 0
            self._wake(arrival_ns + waits_ns)

    def _wake(self, at_ns: int) -> None:
        if self.alive:
            self._plan(at_ns + self._chance.between(*WAKE_NS))

    def report_soon(self) -> None:
        """Somebody listens again: the next report of the period is an event."""
        if not self.alive or self.stopped or (self._due_ns < NEVER and self._due_soon()):
            return
        now_ns = self._world.now_host_ns
        kept_turning(self.executive, now_ns)
        self._plan(self._world.clock.when(max(self.executive.state_due_ns, now_ns)))

    def _due_soon(self) -> bool:
        return self._due_ns <= self._world.clockwork.now_ns + STATE_PERIOD_NS

    def _plan(self, t_ns: int) -> None:
        """Turn at `t_ns`, or when the turn in progress is over."""
        at_ns = max(t_ns, self._free_ns)
        if at_ns < self._due_ns:
            self._due_ns = at_ns
            self._planned_ns = t_ns
            self._world.clockwork.at(at_ns, self._come, at_ns)

    def _come(self, at_ns: int) -> None:
        if at_ns != self._due_ns or not self.alive:
            return
        if self.stopped:
            self._due_ns = NEVER
            return
        if at_ns < self._free_ns:
            # Blocked since this was planned.
            self._due_ns = self._free_ns
            self._world.clockwork.at(self._free_ns, self._come, self._free_ns)
            return
        self._due_ns = NEVER
        self._turn(at_ns)

    # ── one turn ─────────────────────────────────────────────────────────────────────────────

    def _turn(self, t_ns: int) -> None:
        world = self._world
        executive, lines = self.executive, world.lines
        now_ns = world.clock.of(t_ns)
        inputs = lines.drain(t_ns, now_ns)
        mail = self._mail
        self._mail = []
        if self.skips_idle and now_ns - executive.last_turn_ns >= TURN_MAX_NS:
            idle_until_ns = min(t_ns, self._planned_ns, self._away_ns)
            kept_turning(executive, world.clock.of(idle_until_ns))
        self._away_ns = NEVER
        sent, state_due_ns = executive.outlines.sent, executive.state_due_ns
        outputs = turn(executive, self.gate, now_ns, inputs, mail, world.box.store(),
                       lines.packet, lines.received_ns)  # fmt: skip
        self.turns += 1
        self._at_rest = outputs.at_rest
        self._free_ns = t_ns + self._chance.cost(*TURN_COST_NS)
        self._reported = executive.state_due_ns != state_due_ns
        self._apply(t_ns, outputs, sent)
        self._note(now_ns, inputs, mail, outputs)
        next_ns = self._next_ns(now_ns, outputs)
        exact = next_ns == executive.cycle.due_ns and executive.state is BeamState.ARMED
        low_ns, high_ns = SPIN_NS if exact else SLEEP_NS
        at_ns = world.clock.when(next_ns) + self._chance.between(low_ns, high_ns)
        arrival_ns = lines.next_news_ns(t_ns)
        if arrival_ns:
            waits_ns = self._chance.between(*REST_NS) if self._at_rest else 0
            at_ns = min(at_ns, arrival_ns + waits_ns + self._chance.between(*WAKE_NS))
        self._plan(at_ns)

    def _next_ns(self, now_ns: int, outputs: Outputs) -> int:
        """When to turn by itself; after news, one report of the period is waited for."""
        if not self.skips_idle:
            return outputs.wake_ns
        if self._has_news():
            self._settled = False
        if self._reported:
            self._settled = True
        state_due_ns = self.executive.state_due_ns
        due_ns = horizon_ns(self.executive, outputs, now_ns, NEVER)
        if now_ns < state_due_ns < due_ns and self._listened():
            due_ns = state_due_ns
        return min(due_ns, now_ns + 3_600_000_000_000)

    def _listened(self) -> bool:
        return not self._settled or self._world.supervisor.awaits_report

    def _has_news(self) -> bool:
        """The lines say something that only the next report will pass on.

        A change of the executive itself is reported at once, and a run does it twice per pulse, so
        what the lines of the pulse cycle say in between is nothing to wait for.
        """
        inputs, before = self.executive.inputs, self._seen
        if inputs == before:
            return False
        self._seen = inputs
        moved = inputs.levels ^ before.levels
        if self.executive.run is not None:
            moved &= ~_CYCLE
        return moved != 0 or (inputs.link, inputs.epoch) != (before.link, before.epoch)

    def _apply(self, t_ns: int, outputs: Outputs, sent: int) -> None:
        world, box = self._world, self._world.box
        if outputs.intent is not None:
            box.intent(outputs.intent)
        if outputs.lines != sent:
            at_ns = t_ns + self._chance.between(*SEND_NS)
            world.drive(at_ns, outputs.lines)
            if outputs.lines & ~sent & _PULSE:
                self.executive.firing.left(world.clock.of(at_ns))
        if outputs.closed is not None:
            box.close_pulse(outputs.closed)
            world.box_grew()
        if outputs.stray is not None:
            box.stray(outputs.stray)
            world.box_grew()
        if box.latched != self.executive.trips:
            before, box.latched = box.latched, list(self.executive.trips)
            world.observed.tripped(world.clockwork.now_ns, before, box.latched)
        for peer, message in outputs.posts:
            wire = world.to_supervisor if peer is Peer.SUPERVISOR else world.to_imaging
            if not wire.send(message, self._free_ns) and type(message) is State:
                # The next one of the period says the same, and must not be left out.
                self._reported = False

    def _note(self, now_ns: int, inputs: Inputs, mail: list[Letter], outputs: Outputs) -> None:
        journal = self._world.journal
        letters: list[Any] = [
            (x.peer, x.link_up, None if x.message is None else journal.values(x.message))
            for x in mail
        ]
        posts = [(peer, journal.values(message)) for peer, message in outputs.posts]
        journal.note("turn", now_ns, inputs, letters, outputs.lines, outputs.wake_ns, posts,
                     outputs.intent, outputs.closed, outputs.stray)  # fmt: skip
