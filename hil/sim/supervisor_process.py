"""The process `supervisor` in virtual time: the shipped mode machine behind one inbox.

Lives here: the inbox, the beat, what carries a command out, and what survives the process.  May not
live here: decisions (`controller.core`).  The beat is an event only while it can matter: a run, a
self-test, a reset, something waited for, a partner that has fallen silent.  At rest the shipped
`rest_tick` has nothing to find, so it is not asked; reports of partners that are well refresh their
age without being events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from controller.core import commands, events
from controller.core.commands import Command
from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Core
from controller.core.events import Event, Kind
from controller.core.faults import Held
from controller.core.links import apart
from controller.core.machine import Machine
from controller.core.modes import Mode
from controller.core.reconcile import Account, Recorded, reconcile
from controller.core.technique import from_config
from hil.sim.chance import Stream
from realtime.wire.messages import Hello

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
NEVER: Final = (1 << 63) - 1
STEP_COST_NS: Final = (60_000, 300_000)
INBOX_MAX: Final = 1024
# After the last event the beat goes on this long: results are waited for 60 ms.
LINGER_NS: Final = 200 * MS
COPY_NS: Final = (20 * MS, 120 * MS)
BUSY_MODES: Final = frozenset({Mode.BOOT, Mode.SELF_TEST, Mode.PREP, Mode.EXPOSING})


class SupervisorProcess:
    """`alive` while it exists, `stopped` while it is not scheduled."""

    def __init__(self, world: World, beat_ns: int) -> None:
        self._world = world
        self._chance = Stream(world.seed, "supervisor")
        self._beat_ns = beat_ns
        self._held: tuple[Held, ...] = ()
        self._clean = True
        self.epoch = 0
        self.alive = False
        self.stopped = False
        self.storage_fails = False
        self.storage_failed = 0
        self.answered = 0
        self.exit_code: int | None = None
        self.steps = 0
        self.refusals: list[str] = []
        self.press_refused = ""
        self.replies: list[Mapping[str, Any]] = []
        self._tokens = 0
        self.machine = Machine(self._fresh())
        self._inbox: deque[Event] = deque()
        self._free_ns = 0
        self._linger_ns = 0
        self._beat_due_ns = NEVER
        self._working = False

    def _fresh(self) -> Core:
        core = Core(self._world.config, self.epoch, from_config(self._world.config))
        core.wanted = core.numbered(core.wanted)
        core.faults = self._held
        return core

    @property
    def core(self) -> Core:
        """What it knows."""
        return self.machine.core

    @property
    def listens(self) -> bool:
        """What partners report of themselves can change something now."""
        core = self.core
        return self.alive and (core.mode in BUSY_MODES or core.reset_token is not None)

    @property
    def awaits_report(self) -> bool:
        """What the executive reports every 50 ms, of itself and of time, can change something now.

        While it exposes, every pulse brings reports of its own.
        """
        if self.core.mode is Mode.EXPOSING:
            return False
        return self.listens or (self.alive and apart(self.core))

    # ── life ─────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """A new process: latches and account are remembered, nothing else."""
        world = self._world
        self.epoch += 1
        if not self._clean and not any(h.id == "unclean_restart" for h in self._held):
            self._held = (*self._held, Held("unclean_restart", "", world.now_host_ns))
        self._clean = False
        self.machine = Machine(self._fresh())
        self._inbox.clear()
        self._working = False
        self.alive, self.stopped, self.exit_code = True, False, None
        self._free_ns = world.clockwork.now_ns
        self._beat_due_ns = NEVER
        world.after(self._chance.between(*COPY_NS), self._copied)
        self._beat_on()

    def hello(self) -> Hello:
        """What it says to realtime."""
        floor = self._world.box.pulse_id_floor
        return Hello("supervisor", self.epoch, 3000 + self.epoch, floor, "")

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def cont(self) -> None:
        """SIGCONT: the inbox, and the copy of the records that was not made meanwhile."""
        self.stopped = False
        self._resume()
        self.box_grew()

    def block(self, for_ns: int) -> None:
        """The main step is away for `for_ns`."""
        self._free_ns = max(self._free_ns, self._world.clockwork.now_ns) + for_ns

    # ── the inbox ────────────────────────────────────────────────────────────────────────────

    def put(self, event: Event) -> None:
        """An adapter has an event."""
        if not self.alive:
            return
        if len(self._inbox) >= INBOX_MAX:
            self._end_dark("inbox full")
            return
        self._inbox.append(event)
        self._resume()

    def flood(self) -> None:
        """More beats than the inbox holds, at once; the first that finds no place ends it."""
        for _ in range(INBOX_MAX + 1):
            self.put(events.Tick())

    def ask(self, do: Kind, what: str, arguments: Mapping[str, Any]) -> None:
        """A local act at the board."""
        if do is Kind.RESET and self.alive:
            self._world.mark("process", "board", "reset")
        self._tokens += 1
        self.put(events.Local(self._tokens, do, what, arguments))

    def wish(self, what: str) -> None:
        """A wish that came over the network, which the service process has found good."""
        self._tokens += 1
        self.put(events.Remote(self._tokens, False, what, "bench", {}))

    def _resume(self) -> None:
        if self._working or self.stopped or not self._inbox:
            return
        now_ns = self._world.clockwork.now_ns
        if self._free_ns > now_ns:
            self._working = True
            self._world.clockwork.at(self._free_ns, self._work, self.epoch)
        else:
            self._step(self._inbox.popleft())
            self._resume()

    def _work(self, epoch: int) -> None:
        if epoch != self.epoch or not self.alive:
            return
        self._working = False
        self._resume()

    # ── the beat ─────────────────────────────────────────────────────────────────────────────

    def _beat_on(self) -> None:
        """Plan the next beat at which something may be found."""
        now_ns = self._world.clockwork.now_ns
        due_ns = self._next_beat_ns(now_ns)
        if due_ns < self._beat_due_ns:
            self._beat_due_ns = due_ns
            self._world.clockwork.at(due_ns, self._beat, due_ns, self.epoch)

    def _next_beat_ns(self, now_ns: int) -> int:
        core = self.core
        # Anything may hold in the core after an event: look at it at the beat's own pace.
        if self.listens or now_ns < self._linger_ns:
            # Absolute instants: a beat that was left out does not move the ones after it.
            return now_ns - now_ns % self._beat_ns + self._beat_ns
        if core.mode is Mode.SHUTDOWN:
            return NEVER
        host = [core.generator.prepared_until_ns] if core.generator.prepared_until_ns else []
        if not self._world.executive_reports():
            host.append(core.executive.state_ns + EXECUTIVE_AGE_MAX_NS)
        if not self._world.imaging_reports():
            host.append(core.imaging.state_ns + IMAGING_AGE_MAX_NS)
        later = [at for at in host if at > self._world.clock.of(now_ns)]
        return self._world.clock.when(min(later) + 1 + MS) if later else NEVER

    def _beat(self, due_ns: int, epoch: int) -> None:
        if due_ns != self._beat_due_ns or epoch != self.epoch or not self.alive:
            return
        self._beat_due_ns = NEVER
        if not any(event.kind is Kind.TICK for event in self._inbox):
            self.put(events.Tick())
        if self._inbox and self._beat_due_ns == NEVER:
            # The step of the beat waits behind a stall: the beat itself goes on.
            self._beat_due_ns = due_ns + self._beat_ns
            self._world.clockwork.at(self._beat_due_ns, self._beat, self._beat_due_ns, epoch)

    # ── the main step ────────────────────────────────────────────────────────────────────────

    def _step(self, event: Event) -> None:
        world, core, kind = self._world, self.core, event.kind
        now_ns = world.now_host_ns
        if world.executive_reports() and core.executive.state is not None:
            core.executive.state_ns = now_ns
        if world.imaging_reports() and core.imaging.state is not None:
            core.imaging.state_ns = now_ns
        before, held = core.mode, core.faults
        asked = self.machine.step(event, now_ns)
        self.steps += 1
        self._free_ns = world.clockwork.now_ns + self._chance.cost(*STEP_COST_NS)
        if kind is not Kind.TICK:
            self._linger_ns = world.clockwork.now_ns + LINGER_NS
        values = world.journal.values
        world.journal.note("step", now_ns, kind, values(event), core.mode,
                           [values(command) for command in asked])  # fmt: skip
        for command in asked:
            self._carry_out(command)
        if core.faults is not held:
            names = ([fault.id for fault in each] for each in (held, core.faults))
            world.observed.held(world.clockwork.now_ns, *names)
        if core.mode is not before:
            world.observed.mode(world.clockwork.now_ns, core.mode.value)
        if self.awaits_report:
            world.realtime.report_soon()
        if self.alive:
            self._beat_on()

    def _carry_out(self, command: Command) -> None:
        world = self._world
        match command:
            case commands.ToExecutive(message):
                world.orders.send(message, self._free_ns)
            case commands.ToImaging(message):
                world.supervisor_to_imaging.send(message, self._free_ns)
            case commands.Commit():
                world.bus.commit(command)
            case commands.Prepare(on):
                world.bus.prepare(on)
            case commands.ReadGateCount():
                world.bus.read_gate_count()
            case commands.ResetGenerator():
                world.bus.reset()
            case commands.Reconcile():
                world.after(self._chance.between(*COPY_NS), self._reconcile)
            case commands.KeepAccount(account):
                world.box.keep_account(account)
            case commands.Persist(clean):
                self._held, self._clean = self.core.faults, clean
            case commands.Reply(token, body) if token < 0:
                world.service.answered(token, body)
            case commands.Reply(_, body):
                self._answered(body)
            case commands.Exit(code):
                self._exit(code)
            case _:
                assert isinstance(command, commands.Log), f"nobody carries out {command}"
                if command.what == "press_refused":
                    self.press_refused = str(command.fields["code"])

    def _answered(self, body: Mapping[str, Any]) -> None:
        self.answered += 1
        self._world.look()
        error = body.get("error")
        if error is not None:
            self._world.observed.refused(self._world.clockwork.now_ns, str(error["code"]))
            self.refusals.append(str(error["code"]))
            del self.refusals[:-64]
        self.replies.append(body)
        del self.replies[:-16]

    def _end_dark(self, detail: str) -> None:
        """What is ours has failed: dark, latched, ended (`controller.supervisor.shell`)."""
        self._inbox.clear()
        self._step(events.Broken(detail))

    def _exit(self, code: int) -> None:
        self.exit_code = code
        self.alive = False
        self._world.ended("supervisor")

    # ── records ──────────────────────────────────────────────────────────────────────────────

    def box_grew(self) -> None:
        """Records wait to be copied."""
        self._world.after(self._chance.between(*COPY_NS), self._copied)

    def _copied(self) -> None:
        if not self.alive or self.stopped:
            return
        box = self._world.box
        if self.storage_fails:
            self.storage_failed += 1
            self._world.look()
            unread = box.written - box.consumed
            self.put(events.DurableSeen(False, box.lit, unread, "input/output error"))
            return
        box.consume()
        seen = events.DurableSeen(True, box.lit, 0, "")
        durable = self.core.durable
        if (durable.ok, durable.copied) != (True, box.lit):
            self.put(seen)

    def _reconcile(self) -> None:
        world, box = self._world, self._world.box
        if not self.alive:
            return
        counter = world.bus.counter()
        finding = reconcile(box.account, box.since_account(), counter, world.bus.recent())
        box.add([Recorded(result.technique_id, True) for result in finding.missing])
        box.take_back(finding.taken_back)
        account = Account(counter, box.lit)
        box.keep_account(account)
        self.put(events.Reconciled(finding, account))
