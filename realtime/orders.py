"""The order: the supervisor's short lease to radiate, checked field by field.

Theory of operation.  An order names one run and is void for any other.  Epoch and sequence only
grow; period, topology and mode are fixed by the first order of a run; the lease ends by itself at
`expires_ns`, at most 100 ms ahead.  A renewal never refills spent credit, because `last_pulse_n`
is absolute within the run.  An order with another technique that arrives while a pulse is bound
to the present one is parked until that pulse has fallen, so no pulse is mixed (invariant 6).

Lives here: acceptance, fencing, expiry, parking.  May not live here: whether a pulse fires.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from realtime.limits import US, Timing
from realtime.wire.messages import ORDER_AHEAD_NS_MAX, Mode, Order, Pedal

MODES_OF: Final = {
    Pedal.FLUORO: (Mode.FLUORO,),
    Pedal.HIGH: (Mode.HIGH_LEVEL,),
    Pedal.CINE: (Mode.ONE_SHOT, Mode.CINE, Mode.DSA),
}


class OrderState(StrEnum):
    """Whether a lease is held."""

    NONE = "none"
    HELD = "held"


class OrderEvent(StrEnum):
    """What can happen to a lease."""

    ACCEPT = "accept"
    EXPIRE = "expire"
    VOID = "void"


_S, _E = OrderState, OrderEvent
ROWS: Final = {
    (_S.NONE, _E.ACCEPT): _S.HELD,
    (_S.HELD, _E.ACCEPT): _S.HELD,
    (_S.HELD, _E.EXPIRE): _S.NONE,
    (_S.HELD, _E.VOID): _S.NONE,
}
IGNORED: Final = {
    (_S.NONE, _E.EXPIRE): "nothing to lose",
    (_S.NONE, _E.VOID): "nothing to lose",
}
# Not Final: see `realtime.beam.NEXT`.
_NEXT: dict[tuple[OrderState, OrderEvent], OrderState] = {
    **{pair: pair[0] for pair in IGNORED},
    **ROWS,
}


class Bound(NamedTuple):
    """What one pulse is bound to from the setting of BANK to the fall of PULSE."""

    technique_id: int
    bank: int
    set_us: int
    rise_us: int
    tail_us: int


def bound_of(order: Order) -> Bound:
    """The technique part of an order."""
    return Bound(order.technique_id, order.bank, order.set_us, order.rise_us, order.tail_us)


class OrderBook:
    """The lease of the present run, with the raw bytes for the last gate."""

    __slots__ = ("_fixed", "_parked", "epoch", "order", "raw", "run_id", "seq", "state", "timing")

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.state = OrderState.NONE
        self.epoch = 0
        self.seq = 0
        self.run_id = 0
        self.order: Order | None = None
        self.raw = b""
        self._parked: tuple[Order, bytes] | None = None
        self._fixed: tuple[object, ...] | None = None

    def open_run(self, run_id: int) -> None:
        """From now on only orders for this run are accepted."""
        self._take(OrderEvent.VOID)
        self.run_id = run_id
        self._fixed = None

    def close_run(self) -> None:
        """The run is over: every order is void."""
        self.open_run(0)

    def fence(self, epoch: int) -> bool:
        """Accept a supervisor of this epoch; False when a newer one has spoken before."""
        if epoch < self.epoch:
            return False
        if epoch > self.epoch:
            self.epoch = epoch
            self.seq = 0
            self._take(OrderEvent.VOID)
        return True

    def offer(self, order: Order, raw: bytes, now_ns: int, mode: Mode, held: Bound | None) -> str:
        """Accept an order, or return the code of its refusal; '' means accepted.

        `held` is what the pulse in progress is bound to, if any.
        """
        code = self._refusal(order, now_ns, mode)
        if code:
            return code
        self.seq = order.order_seq
        self._fixed = (order.mode, order.level, order.topology, order.period_num_ns,
                       order.period_den)  # fmt: skip
        if held is not None and bound_of(order) != held:
            self._parked = (order, raw)
            return ""
        self._hold(order, raw)
        return ""

    def release_parked(self, now_ns: int) -> None:
        """The pulse has fallen: a parked order takes effect, if it still lives."""
        if self._parked is not None:
            order, raw = self._parked
            self._parked = None
            if order.expires_ns > now_ns:
                self._hold(order, raw)

    def expire(self, now_ns: int) -> bool:
        """End a lease whose time is over; True when that happened on this call."""
        if self.order is not None and now_ns >= self.order.expires_ns:
            self._take(OrderEvent.EXPIRE)
            return True
        return False

    def void(self) -> None:
        """Drop the lease at once."""
        self._take(OrderEvent.VOID)

    def _hold(self, order: Order, raw: bytes) -> None:
        self._take(OrderEvent.ACCEPT)
        self.order = order
        self.raw = raw
        self._parked = None  # an older order never comes back over a newer one

    def _take(self, event: OrderEvent) -> None:
        self.state = _NEXT[self.state, event]
        if self.state is OrderState.NONE:
            self.order = None
            self.raw = b""
            self._parked = None

    def _refusal(self, order: Order, now_ns: int, mode: Mode) -> str:
        timing = self.timing
        set_ns, rise_ns, tail_ns = order.set_us * US, order.rise_us * US, order.tail_us * US
        fixed = (order.mode, order.level, order.topology, order.period_num_ns, order.period_den)
        checks = (
            ("epoch", order.supervisor_epoch == self.epoch),
            ("seq", order.order_seq > self.seq),
            ("run", self.run_id != 0 and order.run_id == self.run_id),
            ("expired", order.expires_ns > now_ns),
            ("too_far_ahead", order.expires_ns <= now_ns + ORDER_AHEAD_NS_MAX),
            ("mode", order.mode is mode),
            ("level", order.level == (order.mode is Mode.HIGH_LEVEL)),
            ("changed_in_run", self._fixed is None or self._fixed == fixed),
            ("topology", order.topology is timing.topology),
            ("period", timing.fits_period(order.period_num_ns, order.period_den)),
            ("width", set_ns <= timing.width_cap_ns),
            ("fit", timing.needed_ns(rise_ns, set_ns, tail_ns) <= timing.window_ns),
        )
        for code, good in checks:
            if not good:
                return code
        return ""
