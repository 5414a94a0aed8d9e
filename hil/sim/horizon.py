"""How long the executive may be left alone: the next instant at which time alone changes a step.

Lives here: one function that reads the executive's machines and one that keeps its own clock
going.  May not live here: decisions.  The loop turns at least every TURN_MAX; most of those turns
find nothing changed and change nothing, so in virtual time they need not be taken.  What *could*
change by time alone, beyond what the executive asks to be woken for, is listed here; whatever is
not understood (an exercise, a read-back that disagrees) falls back to the loop's own cap.  That
the list is whole is proved by running worlds with and without it (`tests/sim/test_horizon.py`).
"""

from __future__ import annotations

from realtime.beam import ARMED_STATES, BeamState
from realtime.executive import CALLED_MAX_NS, Executive
from realtime.inputs import Outputs
from realtime.limits import (
    PERMIT_LEAD_NS,
    SPIN_NS,
    STATE_PERIOD_NS,
    TURN_MAX_NS,
    US,
    WINDOW_LATE_NS,
    XRAY_SLACK_NS,
)
from realtime.wire.lines import In, mask

_WINDOW = mask(In.WINDOW)
_XRAY = mask(In.XRAY_ON)


def horizon_ns(executive: Executive, outputs: Outputs, now_ns: int, never_ns: int) -> int:
    """When the executive must turn next if nothing arrives; `never_ns` when only news matter."""
    wake_ns = outputs.wake_ns
    rehearses = executive.state is BeamState.ARMED and wake_ns == executive.cycle.due_ns - SPIN_NS
    if (wake_ns < now_ns + TURN_MAX_NS and not rehearses) or not _settled(executive, now_ns):
        return wake_ns
    times = (
        executive.pedals.wake_ns(),
        executive.irradiation.wake_ns(now_ns),
        # The turn that only rehearses the pulse is left out.
        executive.outlines.wake_ns(executive, wake_ns if rehearses else now_ns),
        *_run_times(executive),
    )
    due_ns = never_ns
    for at_ns in times:
        if at_ns is not None and now_ns < at_ns < due_ns:
            due_ns = at_ns
    return due_ns


def _settled(executive: Executive, now_ns: int) -> bool:
    """True when the turn just taken, taken again with nothing new, would change nothing."""
    inputs = executive.inputs
    return (
        inputs.link
        and executive.exercise is None
        and executive.pedals.stands_still(inputs.levels)
        and executive.inhibits_stand(now_ns)
        and not executive.tone.differs(executive.outlines.sent, inputs.levels)
        and not executive.lamp.differs(executive.outlines.sent, inputs.levels)
        and _run_stands(executive, now_ns)
    )


def _run_stands(executive: Executive, now_ns: int) -> bool:
    run, state = executive.run, executive.state
    if run is None:
        return state is not BeamState.DARK or not executive.pedals.any_down()
    if run.no_image() or run.stuck() or not executive.pedals.is_down(run.pedal):
        return False
    if state is not BeamState.READOUT:
        return True
    permit_ns = executive.cycle.due_ns - PERMIT_LEAD_NS
    return bool(executive.inputs.levels & _WINDOW) and now_ns < permit_ns


def _run_times(executive: Executive) -> list[int]:
    times = []
    run, order, asked = executive.run, executive.book.order, executive.firing.asked
    if order is not None:
        times.append(order.expires_ns)
    if run is not None:
        limit_ns = CALLED_MAX_NS
        if executive.state in ARMED_STATES:
            limit_ns = executive.timing.run_max_ns
        times.append(run.start_ns + limit_ns + 1)
    if executive.state is BeamState.READOUT:
        rise_ns = executive.inputs.window_rise_ns
        times.append(rise_ns + executive.timing.window_ns + WINDOW_LATE_NS + 1)
        times.append(executive.cycle.due_ns - PERMIT_LEAD_NS)
    if asked is not None and asked.fall_ns and executive.inputs.levels & _XRAY:
        slack_ns = (asked.bound.rise_us + asked.bound.tail_us) * US + XRAY_SLACK_NS
        times.append(asked.fall_ns + slack_ns + 1)
    return times


def kept_turning(executive: Executive, planned_ns: int) -> None:
    """The turns that were not taken until `planned_ns`: the loop was not away, it was idle."""
    last_ns = executive.last_turn_ns
    if last_ns >= 0 and planned_ns > last_ns:
        idle_ns = planned_ns - last_ns
        executive.last_turn_ns = last_ns + idle_ns // TURN_MAX_NS * TURN_MAX_NS
    overdue_ns = planned_ns - executive.state_due_ns
    if overdue_ns >= STATE_PERIOD_NS:
        # These reports said what the one before said, but for their time.
        executive.state_due_ns += overdue_ns // STATE_PERIOD_NS * STATE_PERIOD_NS
