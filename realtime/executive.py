"""The beam executive: composes the small machines into one step without clock or I/O.

Theory of operation.  `step(now_ns, inputs, mail, store)` is one turn.  It first looks for reasons
to be dark (stall, lines, pedals, interlocks, read-backs), then reads the mail, and only then moves
the run forward; so no message can outrun a contact.  The result is a bank of levels that follows
from the state (Moore), the instant of the next turn, letters, and records.  Whoever applies the
result asks the last gate first, and calls `veto` when the gate refuses (`realtime.turn`).

Lives here: the order of a turn and the reasons that end a run.  May not live here: sockets, clocks,
the gate, or the machines themselves (pedals, interlocks, orders, cycle, beam, exercise, watch).
"""

from __future__ import annotations

from itertools import compress

from realtime import rest
from realtime.beam import ARMED_STATES, LINES, NEXT, RUN_STATES, BeamEvent, BeamState
from realtime.correspondence import Correspondence
from realtime.cycle import Cycle
from realtime.exercise import Exercising
from realtime.firing import Firing, stray_record
from realtime.inputs import Inputs, Letter, Outputs, Peer, Store
from realtime.interlocks import cause_gone, judge
from realtime.irradiation import Irradiation
from realtime.limits import (
    AWAY_NS,
    MS,
    REST_TURN_NS,
    STALL_NS,
    STATE_PERIOD_NS,
    STATE_REST_PERIOD_NS,
    TURN_MAX_NS,
    S,
    Timing,
)
from realtime.orders import MODES_OF, OrderBook
from realtime.outlines import Outlines
from realtime.pedals import Pedals
from realtime.run import Run
from realtime.trips import Inhibit, TripCode
from realtime.watch import Readback, missing, rose_with, stray
from realtime.wire.lines import NC_CONTACTS, PEDALS, In, Out, mask
from realtime.wire.messages import EndReason, Message, Mode, Press, Refused, RunEnd, Topology, Trip
from realtime.wire.record import Record

CALLED_MAX_NS = 35 * S
# In the order of the questions in `Executive._inhibits`.
OWN_INHIBITS = (
    Inhibit.SUPERVISOR, Inhibit.IMAGING, Inhibit.BLACK_BOX, Inhibit.TONE, Inhibit.LAMP,
    Inhibit.EXERCISE, Inhibit.PEDALS,
)  # fmt: skip
_XRAY = mask(In.XRAY_ON)


class Executive:
    """State of the beam path.  All times are ns of one monotonic clock, given by the caller."""

    def __init__(
        self,
        timing: Timing,
        boot_id: int,
        pulse_id_next: int,
        latched: list[TripCode],
        standing: list[Inhibit],
        inhibited: bool = False,
    ) -> None:
        """`latched` trips come from the black box; `standing` inhibits from the preflight."""
        self.timing = timing
        self.boot_id = boot_id
        self.run_count = 0
        self.state = BeamState.TRIPPED if latched else BeamState.DARK
        self.trips = list(latched)
        self.standing = list(standing)
        self.inhibited = inhibited
        self.pedals = Pedals()
        self.book = OrderBook(timing)
        self.cycle = Cycle(timing)
        self.irradiation = Irradiation(timing.signal_every_ns)
        self.tone = Readback(Out.TONE, In.TONE_READBACK)
        self.lamp = Readback(Out.LAMP, In.LAMP_READBACK)
        self.firing = Firing(self, pulse_id_next)
        self.outlines = Outlines()
        self.mail = Correspondence(self)
        self.run: Run | None = None
        self.exercise: Exercising | None = None
        self.cine_mode = Mode.ONE_SHOT
        self.links = dict.fromkeys(Peer, False)
        self.inputs = Inputs()
        self.store = Store(0, 1)
        self.inhibits: list[Inhibit] = []
        self.opened = False
        self.last_turn_ns = -1
        self.state_due_ns = 0
        self.begin_outputs()

    def begin_outputs(self) -> None:
        """Forget the letters and records of the last turn."""
        self.posts: list[tuple[Peer, Message]] = []
        self.intent: Record | None = None
        self.closed: Record | None = None
        self.stray: Record | None = None

    def step(self, now_ns: int, inputs: Inputs, mail: list[Letter], store: Store) -> Outputs:
        """One turn; see the head of this file for its order."""
        self.begin_outputs()
        self.store = store
        before = (self.state, len(self.trips), self.inhibits)
        self.firing.seen = inputs
        self._watch_clock(now_ns)
        self._read_lines(now_ns, inputs)
        if self.run is not None:
            self._end_if_dark(now_ns)
        for letter in mail:
            self.mail.take(now_ns, letter)
        self._read_order_end(now_ns)
        self._go_on(now_ns)
        lines = self.outlines.lines(self, now_ns)
        if now_ns >= self.state_due_ns or before != (self.state, len(self.trips), self.inhibits):
            self.mail.report_state(now_ns)
            self.state_due_ns = now_ns + self._state_period_ns()
        self.last_turn_ns = now_ns
        return self._outputs(now_ns, lines)

    def _state_period_ns(self) -> int:
        return STATE_REST_PERIOD_NS if rest.at_rest(self) else STATE_PERIOD_NS

    def take(self, event: BeamEvent) -> None:
        """Apply one event of the beam table."""
        self.state = NEXT[self.state, event]

    # Reasons to be dark ------------------------------------------------------------------------

    def _watch_clock(self, now_ns: int) -> None:
        if self.last_turn_ns < 0 or now_ns - self.last_turn_ns <= STALL_NS:
            return
        away_ns = now_ns - self.last_turn_ns
        if self.run is not None:
            self.trip(now_ns, TripCode.STALL, f"loop away for {away_ns // MS} ms")
        elif away_ns > AWAY_NS:
            self.pedals.void(now_ns)
        else:
            self.pedals.restart_debounce(now_ns)

    def _read_lines(self, now_ns: int, inputs: Inputs) -> None:
        if inputs.epoch != self.inputs.epoch or not inputs.link:
            # A press that nobody saw begin is none: what was unknown counts as after boot.
            self.pedals.void(now_ns)
            self.tone.forget()
            self.lamp.forget()
        unwatched = self._unwatched(now_ns, inputs)
        changed_link = inputs.link and inputs.epoch != self.inputs.epoch
        before, self.inputs = self.inputs, inputs
        self.opened = False
        if not inputs.link or changed_link:
            self.inhibits = self._inhibits(now_ns, [Inhibit.LINK])
            self.end_run(now_ns, EndReason.LINK, Inhibit.LINK)
            if not inputs.link:
                return
        self.pedals.turn(now_ns, inputs.levels, inputs.unsafe_edges, inputs.pedal_edge_ns)
        if unwatched and inputs.levels & PEDALS != NC_CONTACTS and self.state is BeamState.DARK:
            self._refuse_press(now_ns, Inhibit.PEDALS, "made while nobody watched")
        judgement = judge(inputs.levels, inputs.unsafe_edges)
        self.opened = judgement.opened
        for code in judgement.trips:
            self.trip(now_ns, code, "opened")
        pedal = self.pedals.disagree(now_ns)
        if pedal is not None:
            self.trip(now_ns, TripCode.PEDAL_DISAGREE, f"{pedal}: NO and NC contradict")
        self.tone.turn(now_ns, self.outlines.sent, inputs.levels)
        self.lamp.turn(now_ns, self.outlines.sent, inputs.levels)
        self._watch_xray(now_ns, before.xray_rise_ns)
        self.inhibits = self._inhibits(now_ns, judgement.inhibits)
        if self.opened and self.run is None and self.pedals.in_the_making():
            # A press under an open interlock is spent, even if it closes before the press counts.
            self._refuse_press(now_ns, [*judgement.inhibits, Inhibit.PEDALS][0])

    def _unwatched(self, now_ns: int, inputs: Inputs) -> bool:
        """Lines or loop were away: a foot found down now is told, for nothing else will say it."""
        away = now_ns - self.last_turn_ns > AWAY_NS
        return away or not self.inputs.link or inputs.epoch != self.inputs.epoch

    def _watch_xray(self, now_ns: int, before_ns: int) -> None:
        inputs, asked = self.inputs, self.firing.asked
        if not (inputs.levels & _XRAY or inputs.xray_rises or self.state is BeamState.PULSE):
            return
        if stray(inputs, asked, now_ns):
            # X-rays that outlive their pulse, or begin late in it, are one emission with it.
            own = rose_with(inputs, asked, before_ns)
            if inputs.xray_rises > own or not (own or TripCode.XRAY_STRAY in self.trips):
                self.stray = stray_record(inputs, now_ns, self.run)
            self.trip(now_ns, TripCode.XRAY_STRAY, "X-rays that no pulse explains")
        elif self.state is BeamState.PULSE and not self.inhibited:
            assert asked is not None
            if missing(inputs, asked, now_ns):
                self.trip(now_ns, TripCode.XRAY_MISSING, "PULSE high, no X-rays")

    def _end_if_dark(self, now_ns: int) -> None:
        run = self.run
        assert run is not None
        if not self.pedals.is_down(run.pedal):
            self.end_run(now_ns, EndReason.RELEASE)
        elif self.opened:
            self.end_run(now_ns, EndReason.INTERLOCK, *self.inhibits[:1])
        elif run.no_image() or run.stuck():
            self.end_run(now_ns, EndReason.NO_IMAGE, "verdicts" if run.no_image() else "skips")
        elif self.store.unread >= self.store.capacity:
            self.trip(now_ns, TripCode.BLACK_BOX, f"{self.store.unread} records unread")
        elif run.mode is Mode.HIGH_LEVEL and self.tone.failed:
            self.trip(now_ns, TripCode.TONE, "no read-back")
        elif now_ns - run.start_ns > self.timing.run_max_ns and self.state in ARMED_STATES:
            self.trip(now_ns, TripCode.RUN_MAX, "longest continuous irradiation reached")
        elif self.state is BeamState.CALLED and now_ns - run.start_ns > CALLED_MAX_NS:
            self.end_run(now_ns, EndReason.TIMEOUT, "no_order")
        else:
            self.pedals.void_others(run.pedal, now_ns)

    def _read_order_end(self, now_ns: int) -> None:
        if self.book.expire(now_ns) and self.run is not None:
            self.end_run(now_ns, EndReason.ORDER, "expired")

    def trip(self, now_ns: int, code: TripCode, detail: str) -> None:
        """Latch a fault; the first cause stays first.  Dark on this turn."""
        if code in self.trips:
            return
        self.trips.append(code)
        self.posts.append((Peer.SUPERVISOR, Trip(code.value, now_ns, detail)))
        self.take(BeamEvent.TRIP)
        self.end_run(now_ns, EndReason.TRIP, code)
        self.pedals.void(now_ns)

    def end_run(self, now_ns: int, reason: EndReason, code: str = "") -> None:
        """End the run, if any: PULSE and everything else falls on this turn."""
        run = self.run
        if run is None:
            return
        self.firing.cut(now_ns, reason)
        self.take(BeamEvent.STOP)
        self.run = None
        self.book.close_run()
        self.cycle.stop()
        end = RunEnd(run.run_id, now_ns, reason, str(code), run.fired, run.skipped)
        self.posts += [(Peer.SUPERVISOR, end), (Peer.IMAGING, end)]
        if reason is not EndReason.RELEASE:
            self.pedals.void(now_ns)

    # Going on ----------------------------------------------------------------------------------

    def _go_on(self, now_ns: int) -> None:
        if self.exercise is not None:
            self._go_on_exercise(now_ns)
        if self.run is not None:
            self.firing.turn(now_ns, self.run)
        elif self.state is BeamState.DARK and self.pedals.any_down():
            self._press(now_ns)
        self.irradiation.turn(now_ns, self.state in ARMED_STATES)

    def _press(self, now_ns: int) -> None:
        pedal = self.pedals.pressed()
        blocking = [code for code in self.inhibits if code is not Inhibit.PEDALS]
        if pedal is None or blocking:
            self._refuse_press(now_ns, blocking[0] if blocking else Inhibit.PEDALS)
            return
        self.run_count += 1
        modes = MODES_OF[pedal]
        mode = self.cine_mode if self.cine_mode in modes else modes[0]
        run_id = (self.boot_id << 20) + self.run_count
        self.run = Run(run_id, pedal, mode, now_ns)
        self.book.open_run(run_id)
        self.take(BeamEvent.PRESS)
        self.posts.append((Peer.SUPERVISOR, Press(run_id, pedal, mode, now_ns)))

    def _refuse_press(self, now_ns: int, code: Inhibit, detail: str = "") -> None:
        self.posts.append((Peer.SUPERVISOR, Refused("press", code, detail, 1)))
        self.pedals.void(now_ns)

    def _go_on_exercise(self, now_ns: int) -> None:
        assert self.exercise is not None
        if self.in_run or not self.inputs.link or not self._pedals_rest():
            result = self.exercise.abort("not dark with all pedals up")
        else:
            move = self.exercise.turn(now_ns, self.inputs)
            self.outlines.move = move
            if move.result is None:
                return
            result = move.result
        self.mail.exercise_over(result)

    def _pedals_rest(self) -> bool:
        # A contact that is on its way is a pedal that moves, though its state is still UP.
        return self.pedals.all_up() and self.inputs.levels & PEDALS == NC_CONTACTS

    def reset(self, now_ns: int) -> str:
        """A local act: leave TRIPPED when every cause is gone; '' or the code of the refusal."""
        if not self.inputs.link:
            return Inhibit.LINK
        if not self._pedals_rest():
            return Inhibit.PEDALS
        for code in self.trips:
            if not cause_gone(code, self.inputs.levels):
                return code
        if self.inputs.levels & _XRAY:
            return TripCode.XRAY_STRAY
        if 2 * self.store.unread > self.store.capacity:
            return Inhibit.BLACK_BOX
        self.trips.clear()
        self.take(BeamEvent.RESET)
        self.pedals.void(now_ns)
        return ""

    def _inhibits(self, now_ns: int, from_lines: list[Inhibit]) -> list[Inhibit]:
        """Every reason that forbids a start now, in the order of a person's questions."""
        holds = (
            not self.links[Peer.SUPERVISOR],
            not self.links[Peer.IMAGING],
            2 * self.store.unread > self.store.capacity,
            self.tone.failed,
            self.lamp.failed,
            self.exercise is not None,
            self.run is None and not self.pedals.all_up(),
        )
        return [*from_lines, *self.standing, *compress(OWN_INHIBITS, holds)]

    def inhibits_stand(self, now_ns: int) -> bool:
        """True when what came after the inhibits of this turn were found does not change them."""
        from_lines = judge(self.inputs.levels, 0).inhibits
        return self.inhibits == self._inhibits(now_ns, from_lines)

    def _outputs(self, now_ns: int, lines: int) -> Outputs:
        at_rest = rest.at_rest(self)
        wake_ns = self._wake_ns(now_ns, REST_TURN_NS if at_rest else TURN_MAX_NS)
        exact = self.state is BeamState.ARMED and wake_ns == self.cycle.due_ns
        return Outputs(lines, wake_ns, exact, self.posts, self.intent, self.closed, self.stray,
                       at_rest)  # fmt: skip

    def _wake_ns(self, now_ns: int, turn_max_ns: int) -> int:
        """The next instant at which something is due; at most `turn_max_ns` away."""
        wake_ns = now_ns + turn_max_ns
        for at_ns in (
            self.pedals.wake_ns(),
            self.irradiation.wake_ns(now_ns),
            self.outlines.wake_ns(self, now_ns),
        ):
            if at_ns is not None and now_ns < at_ns < wake_ns:
                wake_ns = at_ns
        return wake_ns

    # The last gate said no ---------------------------------------------------------------------

    def veto(self, now_ns: int, lines: int, code: str) -> Outputs:
        """The gate refused to let the bank become `lines`: take it back; nothing has risen."""
        self.outlines.take_back(lines)
        if self.exercise is not None:
            self.mail.exercise_over(self.exercise.abort(f"the gate refused: {code}"))
        if lines & ~self.outlines.sent & mask(Out.PULSE) and self.run is not None:
            self.firing.veto(now_ns, self.run, code)
        self.intent = None
        return self._outputs(now_ns, self.outlines.lines(self, now_ns))

    def stands_still(self, now_ns: int, inputs: Inputs) -> bool:
        """True when the pulse that is due needs no whole turn: the lines are those of the last
        turn, which was a moment ago, and everything a pulse needs is there.
        """
        last = self.inputs
        return (
            self.state is BeamState.ARMED
            and self.run is not None
            and inputs.link
            and inputs.levels == last.levels
            and inputs.epoch == last.epoch
            and not inputs.unsafe_edges | inputs.xray_rises
            and now_ns >= self.cycle.due_ns
            and now_ns - self.last_turn_ns <= TURN_MAX_NS
            and self.firing.ready_to_fire(now_ns, self.run)
        )

    def strike(self, now_ns: int, inputs: Inputs) -> Outputs:
        """Fire the pulse that is due; only after `stands_still` and the gate have agreed."""
        assert self.run is not None
        self.begin_outputs()
        self.inputs = inputs
        self.firing.fire(now_ns, self.run)
        lines = self.outlines.sent | LINES[self.state]
        return Outputs(lines, now_ns, False, self.posts, self.intent, None, None)

    def withdraw(self, now_ns: int, code: str) -> Outputs:
        """The gate has taken PULSE away and no row of ours has ended the run: end it now."""
        self.end_run(now_ns, EndReason.DARK, f"gate_{code}")
        return self._outputs(now_ns, self.outlines.lines(self, now_ns))

    @property
    def in_run(self) -> bool:
        """True from a press to the end of its run."""
        return self.state in RUN_STATES

    @property
    def clears_first(self) -> bool:
        """A triggered panel was idle: its first cycle is cleared without a pulse."""
        return self.timing.topology is Topology.CONTROLLER_MASTER
