"""The msgpack headers of the frame stream, field by field.

Lives here: one function per message of `docs/frame-stream.md`; the page and this file say the same.
May not live here: sockets, or values computed from pixels.

Every header carries `schema`, `device`, `epoch`, `t_ns` and `resend`.  Times are CLOCK_MONOTONIC of
the publishing host, named in `clock`.  What is not known is null, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from realtime.wire.messages import Committed, Delivered, PulseReport, RunEnd, RunStart, Series
from realtime.wire.ring import Slot

FRAME: Final = "carm.frame/1"
SERIES: Final = "carm.series/1"
AMEND: Final = "carm.amend/1"
LOSS: Final = "carm.loss/1"
TAIL: Final = "carm.tail/1"
CLOCK: Final = "CLOCK_MONOTONIC"
UNKNOWN: Final = "unknown"
Header = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Publication:
    """Who publishes: name of the C-arm, and an epoch that differs after every restart."""

    device: str
    epoch: int

    def base(self, schema: str, t_ns: int) -> Header:
        """The fields of every header."""
        return {"schema": schema, "device": self.device, "epoch": self.epoch,
                "clock": CLOCK, "t_ns": t_ns, "resend": False}  # fmt: skip


def unknown_series(run_id: int) -> Series:
    """What stands in the headers of a run of which the supervisor said nothing."""
    return Series(run_id, f"run-{run_id}", UNKNOWN, UNKNOWN, 0.0)


def delivered_fields(delivered: Delivered | None) -> Header:
    """What the generator says it delivered; four nulls while it has not answered."""
    if delivered is None:
        return dict.fromkeys(("kv_delivered", "ma_delivered", "ms_delivered", "mas_delivered"))
    return {
        "kv_delivered": delivered.kv,
        "ma_delivered": delivered.ma,
        "ms_delivered": delivered.ms,
        "mas_delivered": delivered.mas,
    }


def _set_fields(committed: Committed | None) -> Header:
    if committed is None:
        return dict.fromkeys(("kv_set", "ma_set", "ms_set", "filter"))
    return {
        "kv_set": committed.kv,
        "ma_set": committed.ma,
        "ms_set": committed.ms,
        "filter": committed.filter_name,
    }


def pulse_fields(pulse: PulseReport, committed: Committed | None) -> Header:
    """The pulse behind a frame: identity, set values and the times of window and exposure."""
    return {
        "run_id": pulse.run_id,
        "pulse_n": pulse.pulse_n,
        "pulse_id": pulse.pulse_id,
        "technique_id": pulse.technique_id,
        "mode": str(pulse.mode),
        "truncated": pulse.truncated,
        "exposure_start_ns": pulse.start_ns,
        "exposure_end_ns": pulse.end_ns,
        **_set_fields(committed),
        **delivered_fields(None),
        # The dose ledger does not exist yet: what nobody accounts for is not shown as a number.
        "kerma_ngy": None,
        "kap_ngy_cm2": None,
    }


def picture_fields(slot: Slot, pitch_um: int, corrections: list[str]) -> Header:
    """The picture: the panel's times, and how to read the payload."""
    return {
        "frame_no": slot.frame_no,
        "window_open_ns": slot.integration_open_ns,
        "window_close_ns": slot.integration_close_ns,
        "readout_end_ns": slot.readout_end_ns,
        "shape": [slot.height, slot.width],
        "dtype": "<u2",
        "pitch_um": pitch_um,
        "corrections": corrections,
    }


def series_fields(series: Series) -> Header:
    """The series a frame belongs to."""
    return {
        "series": series.series_id,
        "protocol": series.protocol,
        "orientation": series.orientation,
    }


def series_start(who: Publication, series: Series, start: RunStart, seq_first: int) -> Header:
    """`series`: a run begins; its first frame will carry `seq_first`."""
    return {
        **who.base(SERIES, start.t_ns),
        **series_fields(series),
        "run_id": start.run_id,
        "mode": str(start.mode),
        "pulses_per_s": 1e9 * start.period_den / start.period_num_ns,
        "seq_first": seq_first,
    }


def amend(who: Publication, delivered: Delivered, seq: int, now_ns: int) -> Header:
    """`amend`: delivered values of a frame that went out without them."""
    return {
        **who.base(AMEND, now_ns),
        "seq": seq,
        "run_id": delivered.run_id,
        "pulse_n": delivered.pulse_n,
        **delivered_fields(delivered),
    }


def loss(who: Publication, pulse: PulseReport, reason: str, now_ns: int) -> Header:
    """`loss`: this pulse will never have a frame in the stream."""
    return {
        **who.base(LOSS, now_ns),
        "run_id": pulse.run_id,
        "pulse_n": pulse.pulse_n,
        "pulse_id": pulse.pulse_id,
        "reason": reason,
    }


def tail(
    who: Publication, series: Series, end: RunEnd, seq_last: int, counters: Header, *, final: bool
) -> Header:
    """`tail`: the run is over; `final` once every pulse is settled, then nothing changes."""
    return {
        **who.base(TAIL, end.t_ns),
        **series_fields(series),
        "run_id": end.run_id,
        "end_reason": str(end.reason),
        "end_code": end.code,
        "seq_last": seq_last,
        "final": final,
        "counters": counters,
    }
