"""The world in virtual time: room, executive, supervisor and imaging, wired together.

Lives here: the wiring, the one loop in which everything happens, and the truth as it leaves the
room.  May not live here: what a process decides, what a fault does (`faults`), or who acts
(`operator`).  The room's own events come first at equal times; then the queue decides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

from controller.core import events
from hil.room import commands, parameters
from hil.room.records import FrameDue, GateCount, PulseResult, ReadoutExposure, TruthRecord
from hil.room.room import Levels, Room
from hil.sim.audience import Audience
from hil.sim.beam_process import BeamProcess
from hil.sim.box import BlackBox
from hil.sim.chance import Stream
from hil.sim.circumstances import Circumstances, Shown
from hil.sim.clockwork import Clockwork, HostClock
from hil.sim.generator_bus import GeneratorBus
from hil.sim.imaging_process import ImagingProcess
from hil.sim.installation import Installation
from hil.sim.journal import Journal
from hil.sim.lines import LineBus
from hil.sim.observed import Observed
from hil.sim.service_process import ServiceProcess
from hil.sim.starvation import Starvation
from hil.sim.supervisor_process import SupervisorProcess
from hil.sim.wires import Wire
from realtime.inputs import Peer
from realtime.limits import STATE_REST_PERIOD_NS, Timing
from realtime.wire.config import Config
from realtime.wire.messages import DarkFrameResult, Message

MS: Final = 1_000_000
SECOND: Final = 1_000_000_000
NEVER: Final = (1 << 63) - 1
ORIGIN_NS: Final = 1_000 * SECOND
SOCKET_NS: Final = (20_000, 120_000)
CONNECT_NS: Final = 30_000
RECONNECT_NS: Final = (30 * MS, 150 * MS)
Process = BeamProcess | SupervisorProcess | ImagingProcess
TruthTaker = Callable[[TruthRecord], None]


class World:
    """One world of one seed.  `run_until` moves it; `truth` is told every record once."""

    def __init__(
        self, config: Config, seed: int, truth: TruthTaker, circumstances: Circumstances
    ) -> None:
        self.config = config
        self.seed = seed
        self.circumstances = circumstances
        self.truth = truth
        self.journal = Journal(circumstances.keep_journal)
        self.clockwork = Clockwork(seed, ORIGIN_NS)
        offset_ns, ppm = circumstances.host_offset_ns, circumstances.drift_ppm
        self.clock = HostClock(ORIGIN_NS, offset_ns, ppm)
        self.chance = Stream(seed, "world")
        self.box = BlackBox(pulse_id_next=circumstances.pulse_id)
        # Here everybody at the board is known: `SupervisorProcess.ask` tells every reset.
        room = dataclasses.replace(parameters.of_config(config, seed), resets_told=True)
        self.room = Room(room, ORIGIN_NS)
        self.lines = LineBus(self.clockwork, self.clock, seed, circumstances.line_seq)
        self.realtime = BeamProcess(self, Timing.from_config(config), config["beam.width_cap_us"])
        self.realtime.skips_idle = circumstances.skips_idle
        self.starvation = Starvation(self)
        self.installation = Installation(self)
        self.audience = Audience(self)
        self.service = ServiceProcess(self)
        self.imaging = ImagingProcess(self)
        self.supervisor = SupervisorProcess(self, circumstances.beat_ns)
        self.bus = GeneratorBus(self, config["generator.heartbeat_ms"], circumstances.pulse_counter)
        self._processes: dict[str, Process] = {
            "realtime": self.realtime, "supervisor": self.supervisor, "imaging": self.imaging,
        }  # fmt: skip
        self._wires()
        self.foreign_shift_ns = 0
        self.foreign_frames = 0
        self.observed = Observed()
        self.injections: list[Shown] = []
        self.blocks = 0
        self._driven_ns = 0
        self._silent = False
        self._levels_due: list[tuple[int, int]] = []
        self._room_due_ns = 0
        self._pump()

    def _wires(self) -> None:
        def wire(name: str, deliver: Callable[[Any], None]) -> Wire:
            return Wire(self.clockwork, self.seed, name, SOCKET_NS, deliver, self.look)

        self.orders = wire("orders", self._order_arrived)
        self.to_supervisor = wire("reports", self._report_arrived)
        self.to_imaging = wire("run to imaging", self.imaging.message)
        self.verdicts = wire("verdicts", self._verdict_arrived)
        self.supervisor_to_imaging = wire("series", self.imaging.message)
        self.from_imaging = wire("imaging", self._imaging_arrived)

    # ── time ─────────────────────────────────────────────────────────────────────────────────

    @property
    def now_host_ns(self) -> int:
        """The host's clock at the event in progress."""
        return self.clock.of(self.clockwork.now_ns)

    def look(self) -> None:
        """Something happened in which the effect of a fault may show."""
        for injection in self.injections:
            injection.look()

    def after(self, delay_ns: int, act: Callable[..., None], *arguments: Any) -> None:
        """Call later, from the event in progress on."""
        self.clockwork.at(self.clockwork.now_ns + delay_ns, act, *arguments)

    def run_until(self, t_ns: int) -> None:
        """Let everything happen up to and including `t_ns`."""
        clockwork = self.clockwork
        waiting, turn = clockwork.waiting, clockwork.turn
        while True:
            room_ns = self._room_due_ns
            if waiting and waiting[0][0] < room_ns:
                if waiting[0][0] > t_ns:
                    break
                turn()
            elif room_ns <= t_ns:
                clockwork.now_ns = max(clockwork.now_ns, room_ns)
                self.room.advance(room_ns)
                self._pump()
            else:
                break
        clockwork.now_ns = max(clockwork.now_ns, t_ns)

    # ── the room ─────────────────────────────────────────────────────────────────────────────

    def command(self, command: commands.Command) -> commands.Reply | None:
        """Tell the room something now."""
        reply = self.room.apply(self.clockwork.now_ns, command)
        self._pump()
        return reply

    def room_to_now(self) -> None:
        """Bring the room to the event in progress."""
        self.room.advance(self.clockwork.now_ns)
        self._pump()

    def mark(self, kind: str, name: str, value: Any) -> None:
        """A record of truth that is not the room's own: marks of processes, faults of the bench."""
        self.room_to_now()
        self.room.out.record(self.clockwork.now_ns, kind, name, value)
        self._pump()

    def drive(self, at_ns: int, levels: int) -> None:
        """The executive's output bank reaches the rig at `at_ns`; none overtakes the one before."""
        self._driven_ns = max(at_ns, self._driven_ns + 1)
        self.clockwork.at(self._driven_ns, self._driven, levels)

    def _driven(self, levels: int) -> None:
        if self.lines.connected:
            self.room.apply(self.clockwork.now_ns, Levels(levels))
            self._pump()

    def _pump(self) -> None:
        """Pass on what the room has to say."""
        out = self.room.out
        if out.truth:
            records, out.truth = out.truth, []
            note, truth, observe = self.journal.note, self.truth, self.observed.truth
            for record in records:
                note("truth", *record)
                truth(record)
                observe(record)
                if record.kind in ("fault_on", "fault_off"):
                    self._fault_seen(record)
        if self.room.wire.silent is not self._silent:
            self._silence()
        if out.edges:
            edges, out.edges = out.edges, []
            for edge in edges:
                self._edge(edge.t_ns, edge.levels)
        if out.reports:
            reports, out.reports = out.reports, []
            for report in reports:
                self._report(report)
        self._room_due_ns = self.room.next_event_ns()

    def _fault_seen(self, record: TruthRecord) -> None:
        """The room says that one of its own faults shows, or is over."""
        for injection in self.injections:
            if injection.of_room and injection.number == record.name:
                if record.kind == "fault_on":
                    injection.saw(record.t_ns)
                elif injection.effect_ns:
                    injection.cleared(record.t_ns)

    def _edge(self, t_ns: int, levels: int) -> None:
        wire = self.room.wire
        if wire.may_send(True):
            self.realtime.wake(self.lines.show(t_ns, levels))
            return
        if wire.silent:
            self.lines.remember(levels)
            return
        self.lines.show(t_ns, levels, lost=True)
        self.clockwork.at(self.lines.next_repeat_ns(t_ns), self._repeat)

    def _repeat(self) -> None:
        if not self.room.wire.silent:
            self.realtime.wake(self.lines.repeat(self.clockwork.now_ns))

    def _silence(self) -> None:
        t_ns = self.room.t_ns
        self._silent = self.room.wire.silent
        if self._silent:
            self.realtime.wake(self.lines.silent_from(t_ns))
            self.clockwork.at(self.lines.next_repeat_ns(t_ns), self._withheld)
        else:
            self.lines.speaks_again()
            self.clockwork.at(self.lines.next_repeat_ns(t_ns), self._repeat)

    def _withheld(self) -> None:
        """The first snapshot that does not come: now the silence can be seen at the wire."""
        if self.room.wire.silent and not self.room.wire.may_send(False):
            self.room_to_now()
            self.room.injector.watch(self.clockwork.now_ns)
            self._pump()

    def _report(self, report: FrameDue | ReadoutExposure | PulseResult | GateCount) -> None:
        if isinstance(report, FrameDue):
            if self.foreign_shift_ns:
                self.foreign_frames += 1
                self.look()
            self.imaging.due(report, self.foreign_shift_ns)
        elif isinstance(report, PulseResult):
            self.bus.pulse(report)

    # ── letters ──────────────────────────────────────────────────────────────────────────────

    def tell_supervisor(self, event: events.Event) -> None:
        """The generator's driver has an event for the supervisor's inbox."""
        self.supervisor.put(event)

    def _order_arrived(self, message: Message) -> None:
        self.realtime.letter(Peer.SUPERVISOR, message)

    def _verdict_arrived(self, message: Message) -> None:
        self.realtime.letter(Peer.IMAGING, message)

    def _report_arrived(self, message: Message) -> None:
        if type(message) in events.KIND_OF_MESSAGE:
            self.supervisor.put(events.FromExecutive(message))

    def _imaging_arrived(self, message: Message) -> None:
        if isinstance(message, DarkFrameResult):
            self.supervisor.put(events.DarkFrameSeen(message))
        else:
            self.supervisor.put(events.ImagingSeen(message))  # type: ignore[arg-type]

    def box_grew(self) -> None:
        """The black box holds something new."""
        self.supervisor.box_grew()

    def executive_reports(self) -> bool:
        """Its reports reach the supervisor every 50 ms."""
        process = self.realtime
        return process.alive and not process.stopped and self.to_supervisor.open

    def imaging_reports(self) -> bool:
        """Its reports reach the supervisor every 50 ms."""
        process = self.imaging
        return process.alive and not process.stopped and self.from_imaging.open

    # ── processes ────────────────────────────────────────────────────────────────────────────

    def power_on(self) -> None:
        """Everything starts, in no particular order."""
        for name in ("realtime", "supervisor", "imaging"):
            self.after(self.chance.between(1 * MS, 200 * MS), self.start, name)

    def start(self, name: str) -> None:
        """A process starts and connects to its partners, if it finds nothing wrong."""
        if self.installation.refuses(name):
            return
        self.mark("process", name, "started")
        if name == "realtime":
            self.realtime.start()
            self.after(self.chance.between(1 * MS, 20 * MS), self.connect_lines)
        elif name == "imaging":
            self.imaging.start()
        else:
            self.supervisor.start()
            self.bus.connect()
        self.after(self.chance.between(*RECONNECT_NS), self.connect)

    def process(self, name: str) -> Process:
        """A process by its name."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """SIGKILL: it takes no further step, the kernel closes its sockets."""
        if self.process(name).alive:
            self.mark("process", name, "kill9")
            self.process(name).kill()
            self.ended(name)

    def restart(self, name: str) -> None:
        """Whoever watches over processes starts it again, if it is gone."""
        if not self.process(name).alive:
            self.start(name)

    def wire(self, name: str) -> Wire:
        """A wire by its name."""
        wires = (self.orders, self.to_supervisor, self.to_imaging, self.verdicts,
                 self.supervisor_to_imaging, self.from_imaging)  # fmt: skip
        return next(each for each in wires if each.name == name)

    def ended(self, name: str, *, place_only: bool = False) -> None:
        """A process is gone: its sockets close (`place_only`: those to realtime, by realtime)."""
        if place_only:
            self.orders.cut()
            self.to_supervisor.cut()
            self.realtime.letter(Peer.SUPERVISOR, None, link_up=False)
            self.supervisor.put(events.ExecutiveDown("place taken"))
            return
        if name == "realtime":
            self.lines.disconnect()
            self.mark("process", "lines", "disconnected")
        self._cut(name)

    def connect_lines(self) -> None:
        """The executive (re)connects to the line bus."""
        if self.realtime.alive and not self.lines.connected:
            self.mark("process", "lines", "connected")
            self.realtime.wake(self.lines.connect(self.clockwork.now_ns))
            # The driver says at once what the lines are to be; until then they are as they were.
            sent = self.realtime.executive.outlines.sent
            self.drive(self.clockwork.now_ns + CONNECT_NS, sent)

    def connect(self) -> None:
        """Whoever lives and is not connected connects."""
        realtime, supervisor, imaging = self.realtime, self.supervisor, self.imaging
        if realtime.alive and supervisor.alive and not self.orders.open:
            self.orders.connect()
            self.to_supervisor.connect()
            realtime.letter(Peer.SUPERVISOR, None, link_up=True)
            realtime.letter(Peer.SUPERVISOR, supervisor.hello())
            supervisor.put(events.ExecutiveUp(realtime.hello()))
        if realtime.alive and imaging.alive and not self.verdicts.open:
            self.verdicts.connect()
            self.to_imaging.connect()
            realtime.letter(Peer.IMAGING, None, link_up=True)
            realtime.letter(Peer.IMAGING, imaging.hello())
            self._imaging_says()
        if supervisor.alive and imaging.alive and not self.from_imaging.open:
            self.from_imaging.connect()
            self.supervisor_to_imaging.connect()
            supervisor.put(events.ImagingUp(imaging.hello()))
            self._imaging_says()

    def _imaging_says(self) -> None:
        """Its state, which it repeats: repetitions are left out, but not after a lost one."""
        if self.imaging.alive and not self.from_imaging.send(self.imaging.state()):
            self.after(STATE_REST_PERIOD_NS, self._imaging_says)

    def _cut(self, name: str) -> None:
        """The kernel closes the sockets of a process; its partners notice."""
        realtime, supervisor = self.realtime, self.supervisor
        if name in ("realtime", "supervisor") and self.orders.open:
            self.orders.cut()
            self.to_supervisor.cut()
            if name == "supervisor":
                realtime.letter(Peer.SUPERVISOR, None, link_up=False)
            else:
                supervisor.put(events.ExecutiveDown("closed by the peer"))
        if name in ("realtime", "imaging") and self.verdicts.open:
            self.verdicts.cut()
            self.to_imaging.cut()
            if name == "imaging":
                realtime.letter(Peer.IMAGING, None, link_up=False)
            else:
                self._imaging_says()
        if name in ("imaging", "supervisor") and self.from_imaging.open:
            self.from_imaging.cut()
            self.supervisor_to_imaging.cut()
            if name == "imaging":
                supervisor.put(events.ImagingDown("closed by the peer"))
