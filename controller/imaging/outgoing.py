"""What leaves imaging for the public: series, frames, losses, hold image, tail, re-sends.

Lives here: the order of publications and their counters, as values in and calls out.  May not live
here: sockets (`controller.imaging.loop`), pixels' meaning, verdicts.

Order.  `series`, then per settled pulse either a `live` frame or a `loss`, in pulse order, then
`hold` and the final `tail`.  A frame waits up to `DELIVERED_WAIT_NS` for the generator's delivered
values, and anything that follows first pushes it out, so the order never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from controller.imaging.series import RunAccount
from controller.stream import header as h
from realtime.wire.messages import Committed, Delivered, PulseReport, RunEnd, RunStart, Series
from realtime.wire.ring import Slot

if TYPE_CHECKING:
    from controller.imaging.chain import Picture

MS: Final = 1_000_000
DELIVERED_WAIT_NS: Final = 3 * MS
TAIL_PERIOD_NS: Final = 100 * MS
# Many may join at once; one re-send within this serves them all, well inside the promised 100 ms.
RESEND_DELAY_NS: Final = 10 * MS
RESEND_SPACING_NS: Final = 50 * MS
# Delivered values precede the frame by a readout; 64 pulses are two seconds at 30/s.
DELIVERED_MAX: Final = 64
assert RESEND_DELAY_NS + RESEND_SPACING_NS < TAIL_PERIOD_NS

PulseKey = tuple[int, int]


class Outlets(Protocol):
    """Where publications go.  Neither call blocks."""

    def publish(self, topic: str, header: h.Header, payload: Any = None) -> None:
        """One message of the stream."""

    def publish_frame(self, topic: str, header: h.Header, picture: Picture, slot: Slot) -> None:
        """One frame, to the stream and the frame ring; stamps `publish_ns`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame that was published: header, picture, and the slot its times come from."""

    header: h.Header
    picture: Picture
    slot: Slot


@dataclass(slots=True)
class Ready:
    """A finished frame that waits for its delivered values; None until the first tick."""

    pulse: PulseReport
    shown: Shown
    due_ns: int | None = None


@dataclass
class RunStory:
    """One run as the stream tells it.  `closed` once its final tail is out."""

    start: RunStart
    series: Series
    account: RunAccount
    end: RunEnd | None = None
    closed: bool = False
    # Frames that went out with null delivered values: pulse → seq.
    unamended: OrderedDict[int, int] = field(default_factory=OrderedDict)


class Outgoing:
    """The publisher's state: one run at a time, the last image, the tail."""

    def __init__(self, who: h.Publication, pitch_um: int, outlets: Outlets) -> None:
        self.who = who
        self.run: RunStory | None = None
        self.published = 0
        self.missing = 0
        self._pitch_um = pitch_um
        self._outlets = outlets
        self._last: Shown | None = None
        self._ready: Ready | None = None
        self._delivered: OrderedDict[PulseKey, Delivered] = OrderedDict()
        self._tail_ns: int | None = None
        self._resend_ns: int | None = None
        self._resent_ns = -RESEND_SPACING_NS

    def begin(self, start: RunStart, series: Series) -> None:
        """A run begins; the one before has been closed."""
        assert self.run is None or self.run.closed, "a run began inside another"
        account = RunAccount(start.run_id, self.published + 1)
        self.run = RunStory(start, series, account)
        self._tail_ns = None
        self._outlets.publish("series", self._series_header())

    def frame(
        self,
        pulse: PulseReport,
        committed: Committed | None,
        slot: Slot,
        picture: Picture,
        corrections: list[str],
    ) -> None:
        """A valid frame: published now if its delivered values are known, else a little later."""
        assert self.run is not None
        self._flush()
        shown = Shown(
            {
                **self.who.base(h.FRAME, slot.readout_end_ns),
                **h.series_fields(self.run.series),
                **h.pulse_fields(pulse, committed),
                **h.picture_fields(slot, self._pitch_um, corrections),
                "measuring_field": {
                    "box": list(picture.statistics.box),
                    "mean_du": picture.statistics.mean_du,
                    "sigma_du": picture.statistics.sigma_du,
                },
                "window_du": list(picture.window_du),
                "crc32": picture.crc32,
            },
            picture,
            slot,
        )
        self._ready = Ready(pulse, shown)
        if (pulse.run_id, pulse.pulse_n) in self._delivered:
            self._flush()

    def lose(self, pulse: PulseReport, reason: str, now_ns: int) -> None:
        """A pulse whose frame will never be published."""
        assert self.run is not None
        self._flush()
        before = self._missing_in_run()
        self.run.account.lose(pulse.pulse_n, reason)
        self.missing += self._missing_in_run() - before
        self._outlets.publish("loss", h.loss(self.who, pulse, reason, now_ns))

    def delivered(self, delivered: Delivered, now_ns: int) -> None:
        """What the generator delivered: for a frame still to come, or as an amendment."""
        key = (delivered.run_id, delivered.pulse_n)
        self._delivered[key] = delivered
        while len(self._delivered) > DELIVERED_MAX:
            self._delivered.popitem(last=False)
        if self._ready is not None and _key(self._ready.pulse) == key:
            self._flush()
            return
        if self.run is None or self.run.start.run_id != delivered.run_id:
            return
        seq = self.run.unamended.pop(delivered.pulse_n, None)
        if seq is not None:
            self._amend_last(seq, delivered)
            self._outlets.publish("amend", h.amend(self.who, delivered, seq, now_ns))

    def end(self, end: RunEnd, now_ns: int) -> None:
        """The executive ended the run; frames of its last pulses may still be on their way."""
        assert self.run is not None
        self.run.end = end
        self._tail_ns = now_ns

    def close_run(self) -> None:
        """Every pulse of the ended run is settled: hold image and final tail."""
        run = self.run
        assert run is not None
        assert run.end is not None
        assert not run.closed
        self._flush()
        before = self._missing_in_run()
        run.account.finish(run.end.pulses)
        self.missing += self._missing_in_run() - before
        run.closed = True
        if self._last is not None and self._last.header["kind"] == "live":
            header = {**self._last.header, "kind": "hold", "counters": self._counters(run)}
            self._last = Shown(header, self._last.picture, self._last.slot)
            self._outlets.publish_frame("hold", header, self._last.picture, self._last.slot)
        self._publish_tail()

    def subscribed(self, now_ns: int) -> None:
        """Somebody joined: series start, last image and tail go out again soon."""
        if self._resend_ns is None:
            soonest_ns = self._resent_ns + RESEND_SPACING_NS
            self._resend_ns = max(now_ns + RESEND_DELAY_NS, soonest_ns)

    def tick(self, now_ns: int) -> None:
        """Do what is due."""
        if self._ready is not None:
            if self._ready.due_ns is None:
                self._ready.due_ns = now_ns + DELIVERED_WAIT_NS
            if self._ready.due_ns <= now_ns:
                self._flush()
        if self._tail_ns is not None and self._tail_ns <= now_ns:
            self._publish_tail()
            # Absolute, so the period holds; a stall is skipped, not made up.
            self._tail_ns = max(self._tail_ns + TAIL_PERIOD_NS, now_ns + TAIL_PERIOD_NS // 2)
        if self._resend_ns is not None and self._resend_ns <= now_ns:
            self._resend(now_ns)

    def next_due_ns(self) -> int | None:
        """When `tick` has something to do next; 0 for at once."""
        ready_ns = None if self._ready is None else self._ready.due_ns or 0
        dues = (ready_ns, self._tail_ns, self._resend_ns)
        return min((due for due in dues if due is not None), default=None)

    def _flush(self) -> None:
        if self._ready is None:
            return
        ready, self._ready = self._ready, None
        run = self.run
        assert run is not None
        assert run.start.run_id == ready.pulse.run_id
        before = self._missing_in_run()
        run.account.publish(ready.pulse.pulse_n)
        self.missing += self._missing_in_run() - before
        self.published += 1
        delivered = self._delivered.pop(_key(ready.pulse), None)
        if delivered is None:
            run.unamended[ready.pulse.pulse_n] = self.published
            while len(run.unamended) > DELIVERED_MAX:
                run.unamended.popitem(last=False)
        shown = ready.shown
        header = {
            **shown.header, **(h.delivered_fields(delivered) if delivered else {}),
            "kind": "live", "seq": self.published, "counters": self._counters(run),
        }  # fmt: skip
        if not ready.pulse.truncated:
            self._last = Shown(header, shown.picture, shown.slot)
        self._outlets.publish_frame("live", header, shown.picture, shown.slot)

    def _amend_last(self, seq: int, delivered: Delivered) -> None:
        if self._last is not None and self._last.header["seq"] == seq:
            header = {**self._last.header, **h.delivered_fields(delivered)}
            self._last = Shown(header, self._last.picture, self._last.slot)

    def _resend(self, now_ns: int) -> None:
        self._resend_ns = None
        self._resent_ns = now_ns
        if self.run is not None:
            self._outlets.publish("series", {**self._series_header(), "resend": True})
        if self._last is not None:
            header = {**self._last.header, "resend": True}
            self._outlets.publish(header["kind"], header, self._last.picture.pixels)
        if self.run is not None and self.run.end is not None:
            self._publish_tail()

    def _series_header(self) -> h.Header:
        assert self.run is not None
        run = self.run
        return h.series_start(self.who, run.series, run.start, run.account.seq_first)

    def _publish_tail(self) -> None:
        run = self.run
        assert run is not None
        assert run.end is not None
        counters = run.account.counters(every_range=True)
        self._outlets.publish(
            "tail",
            h.tail(self.who, run.series, run.end, self.published, counters, final=run.closed),
        )

    def _counters(self, run: RunStory) -> h.Header:
        return run.account.counters(every_range=False)

    def _missing_in_run(self) -> int:
        assert self.run is not None
        return self.run.account.settled - self.run.account.published


def _key(pulse: PulseReport) -> PulseKey:
    return pulse.run_id, pulse.pulse_n
