"""The frame stream in virtual time: the shipped publications, one bounded queue, a subscriber.

Lives here: the wire between publisher and subscriber (a queue of `QUEUE_FRAMES`, as ZeroMQ keeps
it), and a subscriber that is slow, stopped or dead.  May not live here: what is published, in which
order and with which counters (`controller.imaging.outgoing`), what a subscriber makes of them
(`controller.stream.account`), or pixels: one picture stands for all.

Until somebody opens it there is no stream, and nothing of it costs anything.  Whoever publishes
waits for nobody: what finds no place in the queue is gone, and the counters of what comes later
must tell the subscriber exactly that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from controller.imaging.outgoing import Outgoing
from controller.stream.account import Account, Header
from controller.stream.bounds import QUEUE_FRAMES
from controller.stream.header import Publication, unknown_series
from hil.sim.chance import Stream
from realtime.wire.messages import Delivered, EndReason, PulseReport, RunEnd, RunStart
from realtime.wire.ring import Slot

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
# From the publisher's send to the subscriber's hand: two copies of two megabytes.
TAKE_NS: Final = (300_000, 2 * MS)
CONNECT_NS: Final = (5 * MS, 120 * MS)
LOST: Final = "frames_lost"
JOINED: Final = "late_joiner"
IMAGES: Final = ("live", "hold")
# What every picture is here: the stream looks at none.
PICTURE: Final[Any] = SimpleNamespace(
    pixels=b"", statistics=SimpleNamespace(box=(0, 0, 0, 0), mean_du=0.0, sigma_du=0.0),
    window_du=(0.0, 1.0), crc32=0,
)  # fmt: skip


@dataclass(slots=True)
class Seat:
    """One subscriber: what waits for it, what found no place (numbers of frames), its account.

    `late`: it joined when the stream was on; `shown`: it was sent the last image for that.
    """

    connected: bool = False
    stopped: bool = False
    slow_ns: int = 0
    connection: int = 0
    taking: bool = False
    late: bool = False
    shown: bool = False
    waits: deque[tuple[str, Header]] = field(default_factory=deque)
    dropped: set[int] = field(default_factory=set)
    account: Account = field(default_factory=Account)


class Audience:
    """The stream of one world; `untaken` counts what came to a subscriber that did not take it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = Stream(world.seed, "frame stream")
        self._stays = False
        self._tick_ns = 0
        self._told: set[str] = set()
        self.is_open = False
        self.outgoing: Outgoing | None = None
        self.seat = Seat()
        self.untaken = 0

    # ── who listens ──────────────────────────────────────────────────────────────────────────

    def open(self, *, stays: bool) -> None:
        """Somebody subscribes; `stays` until the end of the world, not of a window."""
        self._stays = self._stays or stays
        if self.is_open:
            return
        self.is_open = True
        self._told.clear()
        self.seat = Seat(connected=True, connection=self.seat.connection + 1)
        if self._world.imaging.alive:
            self.published_anew(self._world.imaging.run)

    def close(self) -> None:
        """Nobody listens any more, and what is published is nobody's business here."""
        if not self._stays:
            self.is_open = False
            self.outgoing = None
            self._part()

    def stop(self) -> None:
        """SIGSTOP: its socket takes nothing."""
        self.seat.stopped = True

    def cont(self) -> None:
        """SIGCONT, and quick again: everything that waits is taken."""
        self.seat.stopped, self.seat.slow_ns = False, 0
        self._serve()

    def slow_down(self, each_ns: int) -> None:
        """From now on it is busy with each message for so long."""
        self.seat.slow_ns = each_ns

    def die(self) -> None:
        """SIGKILL: the publisher's socket lets go of its queue."""
        self._part()

    def come_again(self) -> None:
        """A new process subscribes in the middle of whatever goes on."""
        self._world.after(self._chance.between(*CONNECT_NS), self._connect, self.seat.connection)

    def _part(self) -> None:
        self.seat = Seat(connection=self.seat.connection + 1)

    def _connect(self, connection: int) -> None:
        if not self.is_open or connection != self.seat.connection:
            return
        self.seat.connected = self.seat.late = True
        if self.outgoing is not None:
            self.outgoing.subscribed(self._world.now_host_ns)
            self._tick()

    # ── what imaging does, as `controller.imaging.department` does it ────────────────────────

    def published_anew(self, run: RunStart | None) -> None:
        """Imaging has started, or the stream was opened in the middle of `run`."""
        if not self.is_open:
            return
        world = self._world
        who = Publication(world.config["device"], world.imaging.epoch)
        self.outgoing = Outgoing(who, world.config["panel.pitch_um"], self)
        self.seat.dropped.clear()
        if run is not None:
            self.begin(run)

    def publisher_gone(self) -> None:
        """Imaging is dead, with everything that waited in its socket."""
        self.outgoing = None
        self.seat.waits.clear()

    def begin(self, start: RunStart) -> None:
        """A run begins; one that never ended is closed first."""
        out = self.outgoing
        if out is None:
            return
        now_ns = self._world.now_host_ns
        if out.run is not None and not out.run.closed:
            if out.run.end is None:
                gone = RunEnd(out.run.start.run_id, now_ns, EndReason.CRASH, "no_run_end", 0, 0)
                out.end(gone, now_ns)
            out.close_run()
        out.begin(start, unknown_series(start.run_id))
        self._tick()

    def reported(self, pulse: PulseReport) -> None:
        """The executive fired a pulse."""
        if self.outgoing is not None and self._of_run(pulse):
            assert self.outgoing.run is not None
            self.outgoing.run.account.reported(pulse.pulse_n)

    def frame(self, pulse: PulseReport, slot: Slot) -> None:
        """A valid frame."""
        if self.outgoing is not None and self._of_run(pulse):
            self.outgoing.frame(pulse, None, slot, PICTURE, [])
            self._tick()

    def lose(self, pulse: PulseReport, reason: str) -> None:
        """A pulse whose frame is not published."""
        if self.outgoing is not None and self._of_run(pulse):
            self.outgoing.lose(pulse, reason, self._world.now_host_ns)
            self._tick()

    def delivered(self, delivered: Delivered) -> None:
        """What the generator says of a pulse."""
        if self.outgoing is not None:
            self.outgoing.delivered(delivered, self._world.now_host_ns)
            self._tick()

    def end(self, end: RunEnd) -> None:
        """The executive ended the run."""
        out = self.outgoing
        if out is None or out.run is None or out.run.end is not None:
            return
        if out.run.start.run_id == end.run_id:
            out.end(end, self._world.now_host_ns)
            self._tick()

    def settle(self, pending: bool) -> None:
        """Close a run that has ended, once no frame of it is waited for."""
        out = self.outgoing
        if out is None or out.run is None or pending:
            return
        if out.run.end is not None and not out.run.closed:
            out.close_run()
            self._tick()

    def _of_run(self, pulse: PulseReport) -> bool:
        assert self.outgoing is not None
        run = self.outgoing.run
        return run is not None and not run.closed and run.start.run_id == pulse.run_id

    def _tick(self) -> None:
        """What is due, and when it has to be asked again."""
        world, out = self._world, self.outgoing
        if out is None or world.imaging.stopped:
            return
        out.tick(world.now_host_ns)
        due_ns = out.next_due_ns()
        if due_ns is None:
            return
        due_ns = max(world.clock.when(due_ns), world.clockwork.now_ns + 1)
        if not world.clockwork.now_ns < self._tick_ns <= due_ns:
            self._tick_ns = due_ns
            world.clockwork.at(due_ns, self._tick_due, due_ns)

    def _tick_due(self, due_ns: int) -> None:
        if due_ns == self._tick_ns:
            self._tick()

    # ── the wire ─────────────────────────────────────────────────────────────────────────────

    def publish_frame(self, topic: str, header: Header, picture: Any, slot: Slot) -> None:
        """One frame, with the instant at which it leaves."""
        header["publish_ns"] = self._world.now_host_ns
        self.publish(topic, header, picture.pixels)

    def publish(self, topic: str, header: Header, payload: Any = None) -> None:
        """One message into the queue of the subscriber."""
        world, seat = self._world, self.seat
        world.journal.note("stream", world.clockwork.now_ns, topic, header.get("seq", 0))
        if not seat.connected:
            return
        if seat.stopped or (seat.slow_ns and seat.waits):
            self.untaken += 1
            world.look()
        if len(seat.waits) >= QUEUE_FRAMES:
            self.no_room(topic, header)
            return
        # What is on its way is bytes: nobody changes it any more.
        seat.waits.append((topic, dict(header)))
        self._serve()

    def no_room(self, topic: str, header: Header) -> None:
        """The queue is full: the message is gone, and nobody waits."""
        if topic == "live":
            self.seat.dropped.add(header["seq"])

    def _serve(self) -> None:
        seat = self.seat
        if seat.waits and not seat.taking and not seat.stopped:
            seat.taking = True
            after_ns = self._chance.between(*TAKE_NS) + seat.slow_ns
            self._world.after(after_ns, self._take, seat.connection)

    def _take(self, connection: int) -> None:
        seat = self.seat
        if connection != seat.connection:
            return
        seat.taking = False
        if seat.stopped or not seat.waits:
            return
        topic, header = seat.waits.popleft()
        seat.account.take(topic, header)
        self._judge(seat, topic, header)
        self._serve()

    # ── what the subscriber can prove ────────────────────────────────────────────────────────

    def _judge(self, seat: Seat, topic: str, header: Header) -> None:
        if seat.dropped and _proves(seat):
            self._tell(LOST)
        seat.shown = seat.shown or (header["resend"] and topic in IMAGES)
        if seat.late and seat.shown and seat.account.before_join():
            self._tell(JOINED)

    def _tell(self, word: str) -> None:
        if word not in self._told:
            self._told.add(word)
            self._world.observed.tell(self._world.clockwork.now_ns, word)


def _proves(seat: Seat) -> bool:
    """Its account names the frames that found no place, all of them and no others."""
    account = seat.account
    assert account.epoch is not None
    known = account.epochs[account.epoch].last_seq
    gone = {seq for seq in seat.dropped if seq <= known}
    ranges = [row for row in account.lost_ranges() if row[0] == account.epoch]
    return bool(gone) and gone == {n for _, a, b in ranges for n in range(a, b + 1)}
