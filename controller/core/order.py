"""The order: the short lease on which realtime may radiate, and what it grants.

Lives here: building an order from a lease, and its credit.  May not live here: whether all is well
(`controller.core.why`), or the sending; renewal is the main step's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.core.technique import Technique, period
from realtime.wire.messages import CREDIT_AHEAD_MAX, ORDER_AHEAD_NS_MAX, Mode, Order, Topology

# 100 ms ahead at most; 95 leave room for the clock readings on both ends.
AHEAD_NS: Final = 95_000_000
TICK_NS: Final = 20_000_000
# At rest nothing is renewed, and a partner that falls silent is seen in good time by this pace.
REST_TICK_NS: Final = 70_000_000
# So long before its time a beat at rest goes along with an event that wakes the process anyway.
REST_EARLY_NS: Final = 35_000_000
assert AHEAD_NS <= ORDER_AHEAD_NS_MAX
assert AHEAD_NS >= 4 * TICK_NS, "three renewals may come late before the lease ends"
assert REST_TICK_NS + TICK_NS < AHEAD_NS, "the first beat after a rest is not taken for an absence"


@dataclass(frozen=True, slots=True)
class Lease:
    """What is fixed for a run: the order without its number, its credit and its end."""

    supervisor_epoch: int
    run_id: int
    mode: Mode
    technique: Technique
    bank: int
    topology: Topology


def credit(checked_n: int) -> int:
    """The last pulse that may fire when results up to `checked_n` (−1: none) were checked."""
    assert checked_n >= -1
    return checked_n + CREDIT_AHEAD_MAX


def order(lease: Lease, order_seq: int, checked_n: int, now_ns: int) -> Order:
    """The order to send at `now_ns`; it lives AHEAD_NS and no longer."""
    num_ns, den = period(lease.technique.pulses_per_s)
    return Order(
        supervisor_epoch=lease.supervisor_epoch,
        order_seq=order_seq,
        run_id=lease.run_id,
        mode=lease.mode,
        level=0,
        technique_id=lease.technique.technique_id,
        bank=lease.bank,
        last_pulse_n=credit(checked_n),
        expires_ns=now_ns + AHEAD_NS,
        topology=lease.topology,
        period_num_ns=num_ns,
        period_den=den,
        set_us=lease.technique.set_us,
        rise_us=lease.technique.rise_us,
        tail_us=lease.technique.tail_us,
    )
