"""The imaging process: one thread, one wait, and every socket it serves.

Lives here: the selectors loop, the clock, the sockets, connecting and ending.  May not live here:
decisions (`department`), pixels (`chain`).

A plain loop rather than asyncio: one turn reads everything that is ready, in the order supervisor,
executive, panel, subscribers, and a frame's verdict leaves within the turn that read it.  The
ZeroMQ descriptor is edge-triggered, so its events are taken at the end of each turn, after the last
send and before the next wait.
"""

from __future__ import annotations

import gc
import logging
import os
import selectors
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from controller.devices.panel import Panel, PanelLost, find_driver
from controller.imaging.chain import FrameChain, Picture
from controller.imaging.corrections import CalibrationError, load_calibration
from controller.imaging.department import Department
from controller.imaging.links import Backoff, Link
from controller.imaging.outgoing import MS, Outgoing
from controller.stream.framering import FrameRing
from controller.stream.header import Header, Publication
from controller.stream.publisher import Publisher, endpoint_of
from realtime.notify import Watchdog
from realtime.wire.config import Config
from realtime.wire.messages import Hello, Message
from realtime.wire.ring import Slot

STATE_PERIOD_NS: Final = 50 * MS
CALIBRATION_RETRY_NS: Final = 200 * MS
COLLECT_PERIOD_NS: Final = 10_000 * MS
# Without a run a report says that we live (silence counts after 500 ms); what changes is reported
# at once.
STATE_REST_PERIOD_NS: Final = 150 * MS
WAIT_NS_MAX: Final = STATE_REST_PERIOD_NS
DETAIL_MAX: Final = 200
# At rest a report comes as seldom as the watchdog is fed; one that is a moment late is no hang.
CRITICAL: Final = {"turn": 0, "report": STATE_REST_PERIOD_NS}

log = logging.getLogger("imaging")


class Sockets:
    """The outward calls of department and outgoing, on real sockets."""

    def __init__(self, config: Config, run_dir: Path, epoch: int) -> None:
        """Open what we serve; raises EndpointInUse or RingSocketInUse."""
        hello = Hello("imaging", epoch, os.getpid(), 0, str(config["device"]))
        self.executive = Link("executive", run_dir / "verdicts.sock", hello)
        self.supervisor = Link("supervisor", run_dir / "imaging.sock", hello)
        self.ring = FrameRing(
            run_dir / "frame-ring.sock",
            config["panel.width"], config["panel.height"], config["panel.pitch_um"],
        )  # fmt: skip
        try:
            self.publisher = Publisher(endpoint_of(config["stream.bind"], run_dir))
        except OSError:
            self.ring.close()
            raise

    def tell_executive(self, message: Message) -> None:
        """To realtime."""
        self.executive.send(message, time.monotonic_ns())

    def tell_supervisor(self, message: Message) -> None:
        """To the supervisor."""
        self.supervisor.send(message, time.monotonic_ns())

    def publish(self, topic: str, header: Header, payload: Any = None) -> None:
        """One message of the stream."""
        self.publisher.send(topic, header, payload)

    def publish_frame(self, topic: str, header: Header, picture: Picture, slot: Slot) -> None:
        """One frame: to everybody, then to the frame ring."""
        header["publish_ns"] = time.monotonic_ns()
        self.publisher.send(topic, header, picture.pixels)
        self.ring.write(picture.pixels, header, slot)

    def close(self) -> None:
        """Close everything and remove our socket files."""
        self.executive.close()
        self.supervisor.close()
        self.publisher.close()
        self.ring.close()


class ImagingLoop:
    """The process: `run` until `stop`, then `close`."""

    def __init__(self, config: Config, run_dir: Path) -> None:
        """Open every socket we serve; raises LookupError, EndpointInUse, RingSocketInUse."""
        driver = find_driver(config["panel.driver"])
        # Larger after every restart on this boot, which is all that readers compare it for.
        epoch = time.monotonic_ns()
        self._size = (config["panel.width"], config["panel.height"])
        self._calibration_path = config.path("panel.calibration", run_dir)
        self._panel: Panel = driver(config.path("panel.path", run_dir))
        self._panel_backoff = Backoff()
        self._sockets = Sockets(config, run_dir, epoch)
        who = Publication(config["device"], epoch)
        outgoing = Outgoing(who, config["panel.pitch_um"], self._sockets)
        self._chain = FrameChain(*self._size)
        self.department = Department(self._chain, outgoing, self._sockets)
        self._selector = selectors.DefaultSelector()
        self._registered: dict[str, int] = {}
        self._wake_read, self._wake_write = socket.socketpair()
        self._running = True
        self._watchdog = Watchdog(CRITICAL)
        self._turns = self._reports = 0
        self._detail = "waiting for the panel"
        self._reported = (False, False, "")
        self._state_ns = self._calibration_ns = 0
        self._collect_ns = time.monotonic_ns() + COLLECT_PERIOD_NS

    def stop(self) -> None:
        """End after this turn; safe in a signal."""
        self._running = False
        with suppress(OSError):
            self._wake_write.send(b".", socket.MSG_DONTWAIT)

    def run(self) -> None:
        """Serve until stopped."""
        self._register("wake", self._wake_read.fileno())
        self._register("ring", self._sockets.ring.fileno())
        self._register("stream", self._sockets.publisher.fileno())
        gc.freeze()
        gc.disable()
        while self._running:
            ready = {key.data for key, _ in self._selector.select(self._wait_s())}
            self._turn(ready)
            self._turns += 1
            self._watchdog.turn(time.monotonic_ns(), (self._turns, self._reports))
        self._watchdog.stopping()

    def close(self) -> None:
        """Close everything; leaves no file behind."""
        self._panel.close()
        self._sockets.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _turn(self, ready: set[str]) -> None:
        now_ns = time.monotonic_ns()
        self._reconnect(now_ns)
        # In the order of cause: the series is sent before the order that starts its run, and a
        # frame finds its pulse already known.
        if not ready.isdisjoint(("executive", "supervisor")):
            self._from_supervisor()
        if "executive" in ready:
            self._from_executive(now_ns)
        if "panel" in ready:
            self._from_panel(now_ns)
        if "ring" in ready:
            self._sockets.ring.accept()
        now_ns = time.monotonic_ns()
        self.department.tick(now_ns)
        self._report(now_ns)
        self._watch_links()
        self._serve_subscribers()
        self._collect(now_ns)

    def _from_executive(self, now_ns: int) -> None:
        for message in self._sockets.executive.receive(now_ns):
            if not isinstance(message, Hello):
                self.department.from_executive(message, self._panel, now_ns)

    def _from_supervisor(self) -> None:
        now_ns = time.monotonic_ns()
        for message in self._sockets.supervisor.receive(now_ns):
            if not isinstance(message, Hello):
                self.department.from_supervisor(message, now_ns)

    def _from_panel(self, now_ns: int) -> None:
        try:
            seqs = self._panel.arrivals()
            layout = self._panel.layout
            if layout is not None and not self._chain.fits(layout):
                raise PanelLost("shape", f"frames of {layout.width} x {layout.height}")
            self.department.frames(self._panel, seqs, now_ns)
        except PanelLost as error:
            self.department.odd[f"panel_{error.code}"] += 1
            if self.department.odd[f"panel_{error.code}"] == 1:
                log.warning("panel lost: %s", error)
            self._detail = f"panel: {error}"[:DETAIL_MAX]
            self._unregister("panel")
            self._panel.close()
            self._panel_backoff.failed(now_ns)
            self.department.panel_lost(now_ns)

    def _reconnect(self, now_ns: int) -> None:
        self._sockets.executive.connect(now_ns)
        self._sockets.supervisor.connect(now_ns)
        if self._panel.fileno() < 0 and now_ns >= self._panel_backoff.due_ns:
            if self._panel.open():
                self._panel_backoff.succeeded()
                # A panel that was away may have been calibrated meanwhile.
                self._calibration_ns = now_ns
                self._chain.calibrate(None)
            else:
                self._panel_backoff.failed(now_ns)
        if not self._chain.calibrated and now_ns >= self._calibration_ns:
            self._load_calibration(now_ns)

    def _load_calibration(self, now_ns: int) -> None:
        self._calibration_ns = now_ns + CALIBRATION_RETRY_NS
        try:
            self._chain.calibrate(load_calibration(self._calibration_path, *self._size))
            self._detail = ""
        except CalibrationError as error:
            if self._detail != str(error)[:DETAIL_MAX]:
                log.warning("calibration: %s", error)
            self._detail = str(error)[:DETAIL_MAX]

    def _report(self, now_ns: int) -> None:
        # A panel whose frames cannot be corrected yet is not a panel yet.
        panel = self._panel.layout is not None and self._chain.calibrated
        executive, detail = self._sockets.executive.connected, self._detail
        if now_ns < self._state_ns and (panel, executive, detail) == self._reported:
            return
        self._reported = (panel, executive, detail)
        idle = self.department.outgoing.run is None
        self._state_ns = now_ns + (STATE_REST_PERIOD_NS if idle else STATE_PERIOD_NS)
        state = self.department.state(now_ns, panel=panel, executive=executive, detail=detail)
        self._sockets.supervisor.offer(state, now_ns)
        self._reports += 1

    def _serve_subscribers(self) -> None:
        if self._sockets.publisher.reopen_when_full():
            log.warning("too many frames on their way: the stream was opened anew")
            self._register("stream", self._sockets.publisher.fileno())
        if self._sockets.publisher.subscribed():
            self.department.outgoing.subscribed(time.monotonic_ns())

    def _collect(self, now_ns: int) -> None:
        run = self.department.outgoing.run
        if now_ns >= self._collect_ns and (run is None or run.closed):
            self._collect_ns = now_ns + COLLECT_PERIOD_NS
            gc.collect()

    def _wait_s(self) -> float:
        now_ns = time.monotonic_ns()
        dues = (
            self._state_ns,
            self.department.next_due_ns(),
            self._sockets.executive.retry_ns,
            self._sockets.supervisor.retry_ns,
            self._panel_backoff.due_ns if self._panel.fileno() < 0 else None,
        )
        due_ns = min(due for due in dues if due is not None)
        return min(max(due_ns - now_ns, 0), WAIT_NS_MAX) / 1e9

    def _watch_links(self) -> None:
        """Follow the descriptors that come and go."""
        current = {
            "executive": self._sockets.executive.fileno(),
            "supervisor": self._sockets.supervisor.fileno(),
            "panel": self._panel.fileno(),
        }
        for name, descriptor in current.items():
            if descriptor >= 0:
                continue
            if name == "executive" and name in self._registered:
                self.department.executive_lost(time.monotonic_ns())
            self._unregister(name)
        for name, descriptor in current.items():
            if descriptor >= 0 and self._registered.get(name) != descriptor:
                self._register(name, descriptor)

    def _register(self, name: str, descriptor: int) -> None:
        self._unregister(name)
        self._selector.register(descriptor, selectors.EVENT_READ, name)
        self._registered[name] = descriptor

    def _unregister(self, name: str) -> None:
        descriptor = self._registered.pop(name, None)
        if descriptor is not None:
            # The descriptor may be closed, and its number even in use again under another name.
            with suppress(KeyError, ValueError, OSError):
                if self._selector.get_key(descriptor).data == name:
                    self._selector.unregister(descriptor)


def stop_on_signals(loop: ImagingLoop) -> None:
    """SIGTERM and SIGINT end the loop after its turn."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
