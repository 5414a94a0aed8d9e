"""The mail of the executive: what each message may do, and what is reported back.

Theory of operation.  A message is acted on only from the peer it belongs to and only if its epoch
is the newest; everything else is refused with a code that is sent back, at most once per kind and
second.  No message makes energy by itself: an order is a lease that the executive may use.

Lives here: message by message, its effect.  May not live here: bytes, sockets, or deciding rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from realtime.beam import BeamState
from realtime.exercise import Exercising
from realtime.inputs import Letter, Peer
from realtime.limits import MS, S
from realtime.trips import Inhibit
from realtime.wire.messages import (
    Dark,
    EndReason,
    Exercise,
    Exercised,
    ExerciseResult,
    Hello,
    Message,
    Mode,
    Order,
    Refused,
    Reset,
    ResetTimer,
    Select,
    State,
    Verdict,
)

if TYPE_CHECKING:
    from realtime.executive import Executive

REPORT_EVERY_NS: Final = 1 * S
_CINE_MODES: Final = (Mode.ONE_SHOT, Mode.CINE, Mode.DSA)


class Correspondence:
    """Takes letters for the executive and writes its reports."""

    def __init__(self, of: Executive) -> None:
        self.of = of
        self._counts: dict[tuple[str, str], int] = {}
        self._reported_ns: dict[tuple[str, str], int] = {}
        self._acts: dict[type[Message], Callable[[int, Any, bytes], str]] = {
            Order: self._order,
            Dark: self._dark,
            Select: self._select,
            Reset: self._reset,
            ResetTimer: self._reset_timer,
            Exercised: self._exercise,
            Hello: self._hello,
        }

    def take(self, now_ns: int, letter: Letter) -> None:
        """Act on one letter; a refusal is counted and reported."""
        message = letter.message
        if message is None:
            code = self._link(now_ns, letter.peer, letter.link_up)
        elif letter.peer is Peer.IMAGING:
            code = self._from_imaging(message)
        elif type(message) in self._acts:
            code = self._acts[type(message)](now_ns, message, letter.raw)
        else:
            code = "not_yours"
        if code:
            self.refuse(now_ns, letter.peer, type(message).__name__, code)

    def refuse(self, now_ns: int, peer: Peer, what: str, code: str) -> None:
        """Count a refusal and report it, at most once per kind and second."""
        kind = (what, code)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if now_ns - self._reported_ns.get(kind, -REPORT_EVERY_NS) >= REPORT_EVERY_NS:
            self._reported_ns[kind] = now_ns
            self.of.posts.append((peer, Refused(what, code, "", self._counts[kind])))

    def _link(self, now_ns: int, peer: Peer, link_up: bool) -> str:
        self.of.links[peer] = link_up
        if not link_up and peer is Peer.SUPERVISOR:
            self.of.end_run(now_ns, EndReason.ORDER, Inhibit.SUPERVISOR)
        return ""

    def _from_imaging(self, message: Message) -> str:
        if isinstance(message, Hello):
            return ""
        if not isinstance(message, Verdict):
            return "not_yours"
        run = self.of.run
        return "run" if run is None else run.verdict(message)

    def _hello(self, now_ns: int, hello: Hello, raw: bytes) -> str:
        if not self.of.book.fence(hello.epoch):
            return "epoch"
        if self.of.run is None:
            firing = self.of.firing
            firing.pulse_id_next = max(firing.pulse_id_next, hello.pulse_id_floor)
        return ""

    def _order(self, now_ns: int, order: Order, raw: bytes) -> str:
        run = self.of.run
        if run is None:
            return "run"
        held = self.of.firing.bound
        return self.of.book.offer(order, raw, now_ns, run.mode, held)

    def _fenced(self, epoch: int) -> bool:
        return epoch != self.of.book.epoch

    def _dark(self, now_ns: int, dark: Dark, raw: bytes) -> str:
        # Off needs no permission: no fence here.  Run 0 means any run.
        run = self.of.run
        if run is not None and dark.run_id in (0, run.run_id):
            self.of.end_run(now_ns, EndReason.DARK, dark.code)
        return ""

    def _select(self, now_ns: int, select: Select, raw: bytes) -> str:
        if self._fenced(select.supervisor_epoch):
            return "epoch"
        if self.of.run is not None:
            return "busy"
        if select.cine_mode not in _CINE_MODES:
            return "mode"
        self.of.cine_mode = select.cine_mode
        self.of.pedals.void(now_ns)
        return ""

    def _reset(self, now_ns: int, reset: Reset, raw: bytes) -> str:
        if self._fenced(reset.supervisor_epoch):
            return "epoch"
        return self.of.reset(now_ns)

    def _reset_timer(self, now_ns: int, reset: ResetTimer, raw: bytes) -> str:
        if self._fenced(reset.supervisor_epoch):
            return "epoch"
        self.of.irradiation.reset()
        return ""

    def _exercise(self, now_ns: int, wish: Exercised, raw: bytes) -> str:
        beam = self.of
        if self._fenced(wish.supervisor_epoch):
            return "epoch"
        exercising = Exercising(wish.exercise_id, wish.what, now_ns, beam.timing)
        tripped_but_dark = beam.state in (BeamState.DARK, BeamState.TRIPPED)
        if beam.exercise is not None or not tripped_but_dark or not beam.pedals.all_up():
            beam.posts.append((Peer.SUPERVISOR, exercising.abort("not dark with all pedals up")))
            return ""
        beam.exercise = exercising
        return ""

    def exercise_over(self, result: ExerciseResult) -> None:
        """Report the end of an exercise; a good one proves tone and lamp."""
        beam = self.of
        beam.exercise = None
        if result.ok and result.what is Exercise.TONE_LAMP:
            beam.tone.prove()
            beam.lamp.prove()
        beam.posts.append((Peer.SUPERVISOR, result))

    def report_state(self, now_ns: int) -> None:
        """What the executive sees and holds; the loop adds its own lateness before sending."""
        beam = self.of
        up_ns = beam.pedals.up_since_ns
        state = State(
            t_ns=now_ns,
            realtime_epoch=beam.boot_id,
            beam=beam.state.value,
            run_id=beam.run.run_id if beam.run else 0,
            lines_in=beam.inputs.levels,
            lines_out=beam.outlines.sent,
            link=beam.inputs.link,
            trips=[str(code) for code in beam.trips],
            inhibits=[str(code) for code in beam.inhibits],
            released_ns=0 if up_ns < 0 else max(1, now_ns - up_ns),
            pulses=beam.run.fired if beam.run else 0,
            skipped=beam.run.skipped if beam.run else 0,
            irradiation_ms=beam.irradiation.total_ns // MS,
            late_max_ns=0,
            late_turns=0,
            late_cause="",
            black_box_unread=beam.store.unread,
            black_box_capacity=beam.store.capacity,
        )
        beam.posts.append((Peer.SUPERVISOR, state))
