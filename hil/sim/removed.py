"""Reactions taken out, by name: the bug with which a scenario must be red.

Lives here: the table (`REMOVED`) and how one is taken out for a while.  May not live here: how each
is taken out (`takeouts`), or a judgement; a scenario names its reaction (`without`), and `case`
wants it red: what stays green without the reaction it is about proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from controller.core import results
from controller.core.events import Kind
from controller.imaging import pairing
from hil.room.generator import Generator
from hil.sim import imaging_process
from hil.sim.outside_takeouts import (
    without_apart,
    without_configuration,
    without_desk,
    without_epoch,
    without_expiry,
    without_once,
    without_patience,
    without_reconnecting,
    without_resend,
    without_retained,
    without_security_event,
    without_signature,
    without_stream_numbers,
)
from hil.sim.takeouts import (
    Put,
    acts,
    says,
    trips,
    without_age,
    without_away,
    without_brief_stall,
    without_broken,
    without_debounce,
    without_drops,
    without_durable,
    without_edits,
    without_fence,
    without_float,
    without_fresh_press,
    without_generator_down,
    without_generator_faults,
    without_images,
    without_imaging_lost,
    without_interlocks,
    without_last_words,
    without_late,
    without_lease,
    without_one_lost_image,
    without_one_lost_order,
    without_other_pedals,
    without_press_spent,
    without_read_back,
    without_readback,
    without_reconciliation,
    without_refusal_in_run,
    without_refused_wishes,
    without_release,
    without_repeated_frames,
    without_repeated_results,
    without_results,
    without_self_test,
    without_sequence,
    without_the_door,
    without_wrap,
)
from realtime.irradiation import Irradiation
from realtime.outlines import Outlines
from realtime.trips import TripCode

_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Reaction:
    """One reaction and how it is taken out."""

    what: str
    take_out: Callable[[Put], None]


@contextmanager
def taken_out(name: str) -> Iterator[None]:
    """Without the reaction `name` while this lasts."""
    undo: list[tuple[Any, Any, Any]] = []

    def put(owner: Any, key: str, value: Any) -> None:
        undo.append((owner, key, owner.__dict__.get(key, _MISSING)))
        setattr(owner, key, value)

    try:
        REMOVED[name].take_out(put)
        yield
    finally:
        for owner, key, value in reversed(undo):
            if value is _MISSING:
                delattr(owner, key)
            else:
                setattr(owner, key, value)


REMOVED: Final[dict[str, Reaction]] = {
    "release": Reaction("a pedal that is let go ends the run", without_release),
    "other_pedals": Reaction("only the pedal that was first owns the run", without_other_pedals),
    "fresh_press": Reaction("a press counts only after pedals were seen up", without_fresh_press),
    "debounce": Reaction("a press counts when it has lasted", without_debounce),
    "interlocks": Reaction("an open interlock ends the run", without_interlocks),
    "the_door": Reaction("software alone ends the run at an open door", without_the_door),
    "press_spent": Reaction("a press under an open interlock is spent", without_press_spent),
    "age": Reaction("lines that are not fresh are open", without_age),
    "run_max": Reaction("the longest run ends", trips(TripCode.RUN_MAX)),
    "signal": Reaction("five minutes are signalled", lambda put: put(Irradiation, "turn",
                                                                     says(None))),
    "stray": Reaction("X-rays that no pulse explains trip", trips(TripCode.XRAY_STRAY)),
    "alarm": Reaction("X-rays that no pulse explains sound", lambda put: put(Outlines, "_sounds",
                                                                            says(False))),
    "backup": Reaction("the back-up timer ends a long pulse", lambda put: put(
        Generator, "backup", property(lambda self: False, lambda self, value: None))),
    "drops": Reaction("without PERMIT high voltage drops", without_drops),
    "away": Reaction("a loop that was away trips", without_away),
    "lease": Reaction("an order that is not renewed ends", without_lease),
    "images": Reaction("no image, no beam", without_images),
    "results": Reaction("a result that is wrong or missing ends the run", without_results),
    "generator_down": Reaction("a silent generator is a fault", without_generator_down),
    "emergency": Reaction("an emergency of the generator is a fault", acts(Kind.EMERGENCY)),
    "busy": Reaction("acts at the board are refused in a run", without_refusal_in_run),
    "refused_wishes": Reaction("wishes of the network need dark and all pedals up",
                               without_refused_wishes),
    "edits": Reaction("an edit voids READY", without_edits),
    "read_back": Reaction("a bank is read back", without_read_back),
    "self_test": Reaction("a failed self-test is no READY", without_self_test),
    "readback": Reaction("lamp and buzzer are read back", without_readback),
    "durable": Reaction("records that are not durable end starts", without_durable),
    "reconciliation": Reaction("records are held against the generator's at every start",
                               without_reconciliation),
    "fence": Reaction("an older supervisor is fenced", without_fence),
    "last_words": Reaction("an exception latches", without_last_words),
    "broken": Reaction("what is ours and fails ends dark", without_broken),
    "stamps": Reaction("stamps that cannot be are refused", lambda put: put(
        pairing, "believable", says(True))),
    "pictures": Reaction("frames are looked at", lambda put: put(imaging_process, "FOUND", {})),
    "counters": Reaction("counters wrap", lambda put: put(results, "COUNTER_MODULUS", 1 << 64)),
    "sequence": Reaction("numbers of snapshots wrap", without_sequence),
    "repeated_results": Reaction("a result that comes again is rejected", without_repeated_results),
    "repeated_frames": Reaction("a frame that comes again is nobody's", without_repeated_frames),
    "imaging_lost": Reaction("imaging that is gone is a fault", without_imaging_lost),
    "late": Reaction("who is late has lost the beam", without_late),
    "one_lost_image": Reaction("one lost image is borne", without_one_lost_image),
    "one_lost_order": Reaction("one lost order is borne", without_one_lost_order),
    "brief_stall": Reaction("a brief stall is borne", without_brief_stall),
    "never_waits": Reaction("who publishes frames waits for nobody", without_patience),
    "stream_numbers": Reaction("counters tell a subscriber what did not reach it",
                               without_stream_numbers),
    "resend": Reaction("who joins late gets the series and the last image", without_resend),
    "retained": Reaction("a command that the broker has kept is refused", without_retained),
    "once": Reaction("an id that was taken is not taken again", without_once),
    "expiry": Reaction("a command that has expired is refused", without_expiry),
    "epoch": Reaction("a command for another epoch is refused", without_epoch),
    "signature": Reaction("a command that nobody known has signed is refused", without_signature),
    "security": Reaction("a refusal is told as a security event", without_security_event),
    "desk": Reaction("the network is judged and counted before the supervisor hears of it",
                     without_desk),
    "apart": Reaction("the supervisor waits for nobody of the network", without_apart),
    "reconnects": Reaction("a connection to the broker that has ended is made anew",
                           without_reconnecting),
    "configuration": Reaction("a configuration that is none is refused", without_configuration),
    "generator_faults": Reaction("a fault that the generator reports of itself is one",
                                 without_generator_faults),
    "wrap": Reaction("time does not wrap", without_wrap),
    "whole_ns": Reaction("time is whole nanoseconds", without_float),
}  # fmt: skip
