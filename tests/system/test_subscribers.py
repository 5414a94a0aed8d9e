"""Subscribers that stop or die: the beam goes on, and the loss is their own to count."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import Any, Final

import pytest

from controller.stream.subscriber import Subscriber
from tests.system.machine import Machine

RATE: Final = 30
SECONDS: Final = 1.5
# 45 frames; the publisher keeps 16 for each subscriber, the wire a few.
STOPPED_S: Final = 1.5
LISTENS_S: Final = 5.0
JOINED_MAX_S: Final = 5.0


def stranger(machine: Machine) -> subprocess.Popen[str]:
    """`carm frames` in a process of its own; it listens, then waits for a final tail."""
    return subprocess.Popen(
        [sys.executable, "-m", "controller.cli.main", "frames", "--run-dir", str(machine.run_dir),
         "--count", "10000", "--timeout", str(LISTENS_S), "--tail", "5", "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def end(process: subprocess.Popen[str]) -> None:
    """Kill and reap."""
    process.kill()
    process.communicate()


def hears(subscriber: Subscriber, seconds: float) -> None:
    """Receive for so long."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        subscriber.receive(left_s)


def await_joined(watcher: Subscriber) -> None:
    """A newcomer makes the publisher send the series again, which everybody hears."""
    until_s = time.monotonic() + JOINED_MAX_S
    while (got := watcher.receive(0.1)) is None or not (got[0] == "series" and got[1]["resend"]):
        assert time.monotonic() < until_s, "nobody joined"


def beam_beside(machine: Machine, watcher: Subscriber, spoiled: subprocess.Popen[str],
                number: int) -> int:  # fmt: skip
    """A stretch of beam in which another subscriber gets a signal; how many pulses it had."""
    machine.shine()
    begun_ns = machine.starts(0)[-1]
    hears(watcher, 0.4)
    spoiled.send_signal(number)
    hears(watcher, SECONDS)
    pulses = len(machine.starts(begun_ns))
    machine.blame("the beam did not last")
    machine.rig.do("release fluoro")
    hears(watcher, 1.0)
    return pulses


@pytest.mark.process
@pytest.mark.invariant(8)
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_subscriber_that_fails_harms_nobody(machine: Machine, number: int) -> None:
    def occasion() -> None:
        machine.assert_shines()
        watcher = Subscriber(machine.endpoints["frames"])
        hears(watcher, 0.3)
        spoiled = stranger(machine)
        try:
            await_joined(watcher)
            pulses = beam_beside(machine, watcher, spoiled, number)
            report = watcher.report()
        finally:
            end(spoiled)
            watcher.close()
        slots = (0.4 + SECONDS) * RATE
        machine.blame("slots were skipped")
        assert pulses >= 0.9 * slots
        assert (report["lost"], report["crc_bad"], report["tail_complete"]) == (0, 0, True)

    machine.play(occasion)


@pytest.mark.process
def test_a_subscriber_that_was_stopped_counts_its_own_loss(machine: Machine) -> None:
    said: dict[str, Any] = {}

    def occasion() -> None:
        machine.assert_shines()
        watcher = Subscriber(machine.endpoints["frames"])
        hears(watcher, 0.3)
        sleeper = stranger(machine)
        try:
            await_joined(watcher)
            machine.shine()
            hears(watcher, 0.5)
            sleeper.send_signal(signal.SIGSTOP)
            hears(watcher, STOPPED_S)
            sleeper.send_signal(signal.SIGCONT)
            hears(watcher, 0.5)
            machine.blame("the beam did not last")
            machine.rig.do("release fluoro")
            hears(watcher, 1.0)
            words, _ = sleeper.communicate(timeout=15)
            said.update(json.loads(words), whole=watcher.report())
        finally:
            end(sleeper)
            watcher.close()

    machine.play(occasion)
    whole = said["whole"]
    assert (whole["lost"], whole["tail_complete"]) == (0, True)
    assert (said["crc_bad"], said["tail_complete"]) == (0, True)
    assert said["lost"] == sum(last - first + 1 for _, first, last in said["lost_ranges"]) > 0
    assert said["received"] + said["lost"] == whole["received"]
