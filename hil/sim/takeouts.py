"""How reactions are taken out: for each, the bug that a programmer could have made.

Lives here: one function per reaction, which puts something else in its place.  May not live here:
their names and when they are asked for (`removed`), or a judgement.

A reaction that two checkers guard (the executive and the last gate) is taken out of both, and one
that software and hardware guard out of that which the scenario is about.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from controller.core import boot, events, machine, order, results, service, technique, why
from controller.core.events import Command, Kind
from controller.core.modes import TABLE, Mode, Row
from controller.core.reconcile import Finding
from controller.imaging import pairing
from hil.room.generator import Generator
from hil.room.monostable import Monostable
from hil.room.records import NEVER
from hil.sim import generator_bus, imaging_process, lines, supervisor_process
from hil.sim.beam_process import BeamProcess
from hil.sim.clockwork import HostClock
from hil.sim.imaging_process import ImagingProcess
from realtime import executive, firing, interlocks, pedals
from realtime.correspondence import Correspondence
from realtime.executive import Executive
from realtime.limits import INVALID_MAX
from realtime.orders import OrderBook
from realtime.pedals import PedalEvent, Pedals, PedalState
from realtime.permit import Gate
from realtime.run import Run
from realtime.trips import TripCode
from realtime.watch import Readback
from realtime.wire.lines import In, mask
from realtime.wire.messages import Verdict

Put = Callable[[Any, str, Any], None]
Core = Any
FAR_NS: Final = 10_000_000_000
# So many numbers after the first are new; a counter that was set near its end is far above.
WRAPPED: Final = 4


def says(value: Any) -> Callable[..., Any]:
    """A function that gives this answer to anybody."""
    return lambda *_given, **_named: value


def gate(put: Put) -> None:
    """The last gate agrees to everything."""
    for question in ("agree", "withdraws", "rehearse"):
        put(Gate, question, says(""))


def without_release(put: Put) -> None:
    """Not so any more: a pedal that is let go ends the run."""
    put(Pedals, "is_down", says(True))
    put(Pedals, "disagree", says(None))
    gate(put)


def without_other_pedals(put: Put) -> None:
    """Not so any more: only the pedal that was first owns the run."""
    put(Pedals, "is_down", lambda self, _active: self.any_down())
    put(Pedals, "void_others", says(None))
    gate(put)


def without_fresh_press(put: Put) -> None:
    """Not so any more: a press counts only after all pedals were seen up."""
    rows = {**pedals._NEXT, (PedalState.BLOCKED, PedalEvent.PRESSED): PedalState.PRESSING}
    put(pedals, "_NEXT", rows)
    put(pedals, "_TIMERS", {**pedals._TIMERS, PedalState.RELEASING: 0})
    put(Pedals, "_watch_rest", lambda self, *_given: setattr(self, "_rested", True))
    put(Pedals, "in_the_making", says(False))
    # READY, reset and the self-test ask for released pedals on their own.
    put(Pedals, "all_up", says(True))
    put(Executive, "_pedals_rest", says(True))
    put(Gate, "agree_exercise", says(""))
    put(why, "PEDALS", 0)
    put(why, "_PEDALS_UP", 0)
    put(boot, "RELEASED_NS", -1)
    without_self_test(put)


def without_debounce(put: Put) -> None:
    """Not so any more: a press counts when it has lasted."""
    put(pedals, "_TIMERS", {**pedals._TIMERS, PedalState.PRESSING: 0})


def without_interlocks(put: Put) -> None:
    """Not so any more: an open interlock ends the run."""
    put(executive, "judge", says(interlocks._ALL_CLOSED))
    gate(put)


def without_the_door(put: Put) -> None:
    """Not so any more: software alone ends the run at an open door."""
    without_interlocks(put)
    # Firing looks at the chain's read-back as well, which still tells of the door.
    put(firing, "_HARDWARE", mask(In.PERMIT_OK))


def without_press_spent(put: Put) -> None:
    """Not so any more: a press under an open interlock is spent."""
    put(Pedals, "in_the_making", says(False))


def without_age(put: Put) -> None:
    """Not so any more: lines that are not fresh are open."""
    put(lines, "AGE_NS", FAR_NS)
    gate(put)


def trips(*codes: TripCode) -> Callable[[Put], None]:
    """These trips do not latch."""

    def take_out(put: Put) -> None:
        real = Executive.trip

        def trip(self: Executive, now_ns: int, code: TripCode, detail: str) -> None:
            if code not in codes:
                real(self, now_ns, code, detail)

        put(Executive, "trip", trip)

    return take_out


def without_away(put: Put) -> None:
    """Not so any more: a loop that was away trips."""
    put(Executive, "_watch_clock", says(None))
    put(Gate, "withdraws", says(""))


def without_drops(put: Put) -> None:
    """Not so any more: without PERMIT high voltage drops."""
    put(Monostable, "advance", says(None))
    put(Monostable, "next_ns", says(NEVER))
    for timer in ("preset", "backup"):
        put(Generator, timer, property(lambda self: False, lambda self, value: None))


def without_lease(put: Put) -> None:
    """Not so any more: an order that is not renewed ends."""
    put(OrderBook, "expire", says(False))
    put(Run, "has_credit", says(True))
    put(Correspondence, "_link", says(""))
    gate(put)


def without_images(put: Put) -> None:
    """Not so any more: no image, no beam."""
    for rule, answer in (("no_image", False), ("stuck", False), ("has_verdict", True)):
        put(Run, rule, says(answer))


def without_results(put: Put) -> None:
    """No result is looked at, and none is missed."""
    put(results.Pairing, "delivered", says([]))
    put(results.Pairing, "expired", says([]))
    put(results, "WAITING_MAX", 1 << 30)
    put(Run, "has_credit", says(True))
    put(Gate, "agree", says(""))


def without_repeated_results(put: Put) -> None:
    """Not so any more: a result that comes again is rejected."""
    real = results.Pairing.delivered

    def delivered(self: results.Pairing, result: Any, *given: Any) -> list[Any]:
        if self.counter is not None and result.counter <= self.counter:
            return [results.Finding("result_gap", "")]
        return real(self, result, *given)

    put(results.Pairing, "delivered", delivered)


def without_generator_down(put: Put) -> None:
    """Not so any more: a silent generator is a fault."""
    acts(Kind.GENERATOR_DOWN)(put)
    without_results(put)


def without_generator_faults(put: Put) -> None:
    """Whatever it reports of itself, the generator is believed to be well."""
    put(generator_bus, "GeneratorStatus", lambda state, rotor, filament, _faults, heat:
        events.GeneratorStatus(state, rotor, filament, 0, heat))  # fmt: skip


def without_imaging_lost(put: Put) -> None:
    """Not so any more: imaging that is gone is a fault."""
    acts(Kind.IMAGING_DOWN)(put)
    without_images(put)


def without_repeated_frames(put: Put) -> None:
    """A frame that comes twice reads as lost pictures."""
    frame, verdict = ImagingProcess._frame, Run.verdict

    def twice(self: ImagingProcess, one: imaging_process.Frame) -> None:
        again = [pulse for pulse in self._pairing._paired if pairing.holds(one.slot, pulse)]
        frame(self, one)
        for pulse in again:
            self._tell(pulse, "duplicate", 0)

    def believe(self: Run, told: Verdict) -> str:
        if told.reason != "duplicate":
            return verdict(self, told)
        self.invalid_streak = INVALID_MAX
        return ""

    put(ImagingProcess, "_frame", twice)
    put(Run, "verdict", believe)


def acts(*kinds: Kind) -> Callable[[Put], None]:
    """What the supervisor hears of these kinds means nothing to it."""

    def take_out(put: Put) -> None:
        deaf = {
            row.action: says([])
            for (_, kind), row in TABLE.items()
            if kind in kinds and isinstance(row, Row)
        }
        put(machine, "ACTIONS", {**machine.ACTIONS, **deaf})

    return take_out


def without_refusal_in_run(put: Put) -> None:
    """Acts at the board are done during exposure as they are done at rest."""
    rows = dict(TABLE)
    for (mode, kind), row in TABLE.items():
        if mode is Mode.STANDBY and isinstance(row, Row):
            for armed in (Mode.READY, Mode.EXPOSING, Mode.HOLD):
                if kind in (Kind.RESET, Kind.READY, Kind.SELF_TEST, Kind.SET, Kind.SELECT,
                            Kind.RESET_TIMER):  # fmt: skip
                    rows[armed, kind] = Row(row.action, frozenset(Mode))
    put(machine, "TABLE", rows)


def _edit(core: Core, event: Any, _now_ns: int) -> list[Command]:
    core.wanted = core.numbered(technique.edited(core.wanted, event.arguments, core.config))
    return []


def without_refused_wishes(put: Put) -> None:
    """Not so any more: a wish of the network is refused unless it is dark with all pedals up."""
    put(service, "_refused", says(None))


def without_edits(put: Put) -> None:
    """Not so any more: an edit voids READY."""
    put(machine, "ACTIONS", {**machine.ACTIONS, "edit": _edit})


def _believed(real: machine.Action) -> machine.Action:
    return lambda core, event, now_ns: real(core, replace(event, ok=True), now_ns)


def without_read_back(put: Put) -> None:
    """Every bank is believed to hold what was written."""
    actions = dict(machine.ACTIONS)
    for (_, kind), row in TABLE.items():
        if kind is Kind.COMMITTED and isinstance(row, Row):
            actions[row.action] = _believed(machine.ACTIONS[row.action])
    put(machine, "ACTIONS", actions)


def without_self_test(put: Put) -> None:
    """Every step of the self-test is believed to be good."""
    actions = dict(machine.ACTIONS)
    real = actions["step_answered"]
    actions["step_answered"] = lambda core, event, now_ns: real(
        core, replace(event, message=replace(event.message, ok=True)), now_ns
    )
    put(machine, "ACTIONS", actions)


def without_readback(put: Put) -> None:
    """Not so any more: lamp and buzzer are read back."""
    put(Readback, "failed", property(lambda self: False, lambda self, value: None))


def without_durable(put: Put) -> None:
    """Not so any more: records that are not durable end starts."""
    real = events.DurableSeen
    put(events, "DurableSeen", lambda _ok, records, *_given: real(True, records, 0, ""))


def without_reconciliation(put: Put) -> None:
    """Whatever the generator counts is believed to be recorded."""
    put(supervisor_process, "reconcile", says(Finding(True, 0, 0, (), 0, 0, "")))


def without_fence(put: Put) -> None:
    """Not so any more: an older supervisor is fenced."""

    def fence(self: OrderBook, epoch: int) -> bool:
        self.epoch = epoch
        return True

    put(OrderBook, "fence", fence)
    put(Correspondence, "_link", says(""))


def without_sequence(put: Put) -> None:
    """A number that begins anew reads as a gap."""
    real = lines.LineBus._send

    def send(self: lines.LineBus, t_ns: int, levels: int) -> int:
        self._gap = self._gap or self.seq < WRAPPED
        return real(self, t_ns, levels)

    put(lines.LineBus, "_send", send)


def without_late(put: Put) -> None:
    """Not so any more: who is late has lost the beam."""
    without_away(put)
    without_lease(put)


def without_last_words(put: Put) -> None:
    """Not so any more: an exception latches."""
    put(BeamProcess, "fail", BeamProcess.kill)


def without_broken(put: Put) -> None:
    """Not so any more: what is ours and fails ends dark."""
    put(supervisor_process.SupervisorProcess, "_end_dark", says(None))
    acts(Kind.BROKEN)(put)


def without_one_lost_image(put: Put) -> None:
    """Not so any more: one lost image is borne."""
    put(Run, "no_image", lambda self: self.invalid_streak >= 1)


def without_one_lost_order(put: Put) -> None:
    """Not so any more: one lost order is borne."""
    put(order, "AHEAD_NS", order.TICK_NS + 5_000_000)


def without_brief_stall(put: Put) -> None:
    """Not so any more: a brief stall is borne."""
    put(executive, "STALL_NS", 1_000_000)


def without_wrap(put: Put) -> None:
    """Not so any more: time does not wrap."""
    real = HostClock.of
    put(HostClock, "of", lambda self, t_ns: real(self, t_ns) % 4_294_967_296_000_000)


def without_float(put: Put) -> None:
    """Not so any more: time is whole nanoseconds."""
    real = HostClock.of
    put(HostClock, "of", lambda self, t_ns: int(float(real(self, t_ns)) / 1e7) * 10_000_000)
