"""Stalls of known cause, at random and blind, against the classifier of `realtime.lateness`.

Lives here: a victim with the executive's form of turn, the injections, the confusion matrix.  May
not live here: the classifier.  The victim runs `Lateness` as the executive does and answers with
its cause; what was injected is known to the other process alone, which also draws the order, the
length and the phase.  Run `python -m bench.stalls --write` to measure anew and write the page.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import gc
import json
import mmap
import os
import random
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final, Self

from bench.machine import ROOT, head
from realtime.lateness import CLASSES, Lateness
from realtime.wire.linebus import KIND_INPUTS, decode, encode

PERIOD_NS: Final = 5_000_000
NONE: Final = "none"
# What is injected, and the class that has to come out.
EXPECTED: Final = {
    NONE: NONE, "cpu_starvation": "cpu_starved", "priority_lost": "priority_lost",
    "page_fault": "page_fault", "gc": "own_code", "blocked_call": "blocked_call",
    "disk_log": "disk", "edge_flood": "edge_flood",
}  # fmt: skip
INSIDE: Final = ("page_fault", "gc", "blocked_call", "disk_log")
assert set(EXPECTED.values()) - {NONE} == set(CLASSES)
PAGE: Final = ROOT / "docs" / "lateness.md"
MCL_BOTH: Final = 3
FLOODS_MAX: Final = 20
PACKET: Final = encode(KIND_INPUTS, 0, 0, 0)


# ── the victim ───────────────────────────────────────────────────────────────────────────────


def _page_faults(ms: float) -> None:
    pages = round(ms * 1000 / 0.7)
    with mmap.mmap(-1, pages * mmap.PAGESIZE) as fresh:
        for page in range(pages):
            fresh[page * mmap.PAGESIZE] = 1


def _disk(ms: float, file: Any) -> None:
    until_ns = time.monotonic_ns() + round(ms * 1e6)
    while time.monotonic_ns() < until_ns:
        file.write(bytes(65_536))
        file.flush()
        os.fsync(file.fileno())


class Victim:
    """One thread, one wait per turn; commands on stdin are stalls that happen inside a turn."""

    def __init__(self, line: socket.socket, disk: Any) -> None:
        self._line, self._disk = line, disk
        self._packets = self._levels = 0
        self._rubbish = [(number, str(number)) for number in range(60_000)]
        gc.disable()
        ctypes.CDLL(None).mlockall(MCL_BOTH)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
        self._late = Lateness()

    def run(self) -> None:
        """Turn until stdin ends."""
        command, planned_ns = "", time.monotonic_ns() + PERIOD_NS
        while True:
            wait_s = max(0, planned_ns - time.monotonic_ns()) / 1e9
            ready = select.select([0, self._line.fileno()], [], [], wait_s)[0]
            if self._line.fileno() in ready:
                self._drain()
            self._late.turn(planned_ns, time.monotonic_ns(), self._packets)
            planned_ns = time.monotonic_ns() + PERIOD_NS
            if command:
                command = ""
                late_ns, _turns, cause = self._late.take()
                os.write(1, json.dumps([cause.partition(" ")[0], late_ns]).encode() + b"\n")
            if 0 in ready:
                raw = os.read(0, 100)
                if not raw:
                    return
                command = raw.decode().strip()
                self._stall(command)

    def _drain(self) -> None:
        while True:
            try:
                packet = self._line.recvmsg(64, 64, socket.MSG_DONTWAIT)[0]
            except BlockingIOError:
                return
            self._levels = decode(packet, KIND_INPUTS).levels
            self._packets += 1

    def _stall(self, command: str) -> None:
        what, _, ms = command.partition(" ")
        length_ms = float(ms or 0)
        if what == "page_fault":
            _page_faults(length_ms)
        elif what == "gc":
            until_ns = time.monotonic_ns() + round(length_ms * 1e6)
            while time.monotonic_ns() < until_ns:
                gc.collect()
        elif what == "blocked_call":
            time.sleep(length_ms / 1000)
        elif what == "disk_log":
            _disk(length_ms, self._disk)
        elif what == "begin":
            self._late.take()


# ── the other side ───────────────────────────────────────────────────────────────────────────

_BURN: Final = """
import os, sys, time
core, policy, priority = (int(word) for word in sys.argv[1:])
os.sched_setaffinity(0, {core})
os.sched_setscheduler(0, policy, os.sched_param(priority))
if not policy:
    os.nice(-19)
for line in sys.stdin:
    until = time.monotonic() + float(line)
    while time.monotonic() < until:
        pass
    os.write(1, b".")
"""


def burner(core: int, policy: int, priority: int) -> subprocess.Popen[bytes]:
    """A process that burns one core when told for how long."""
    words = [sys.executable, "-I", "-S", "-c", _BURN, str(core), str(policy), str(priority)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class Experiment:
    """A victim on its own core and everything that can be done to it."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._cores = os.sched_getaffinity(0)
        self._core = max(self._cores)
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = ROOT / "out" / "cache"
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.NamedTemporaryFile(dir=folder)  # noqa: SIM115 - ours until the exit
        words = [sys.executable, "-m", "bench.stalls", "--victim", str(theirs.fileno()),
                 self._file.name, str(self._core)]  # fmt: skip
        self._victim = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()],
            cwd=ROOT,
        )  # fmt: skip
        theirs.close()
        self._above = burner(self._core, os.SCHED_FIFO, 60)
        self._beside = [burner(self._core, os.SCHED_OTHER, 0) for _ in range(3)]
        # A flood comes from elsewhere; on the victim's own core it would wait for the victim.
        os.sched_setaffinity(0, self._cores - {self._core} or self._cores)
        self.ask("begin")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_words: object) -> None:
        for process in (self._victim, self._above, *self._beside):
            process.communicate()
        self._ours.close()
        self._file.close()
        os.sched_setaffinity(0, self._cores)

    def ask(self, command: str) -> tuple[str, float]:
        """(class, ms late) that the victim tells of the turns since it was last asked."""
        assert self._victim.stdin is not None
        assert self._victim.stdout is not None
        self._victim.stdin.write(command.encode() + b"\n")
        self._victim.stdin.flush()
        cause, late_ns = json.loads(self._victim.stdout.readline())
        return (cause or NONE), late_ns / 1e6

    @staticmethod
    def _burn(process: subprocess.Popen[bytes], ms: float) -> None:
        assert process.stdin is not None
        process.stdin.write(f"{ms / 1000}\n".encode())
        process.stdin.flush()

    @staticmethod
    def _burned(process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        process.stdout.read(1)

    def play(self, what: str) -> tuple[str, float]:
        """Inject at a random phase for a random time; what the victim says."""
        self.ask("begin")
        time.sleep(self._chance.uniform(0.005, 0.02))
        ms = self._chance.uniform(8.0, 25.0)
        if what in INSIDE:
            return self.ask(f"{what} {ms}")
        if what == "cpu_starvation":
            self._burn(self._above, ms)
            self._burned(self._above)
        elif what == "edge_flood":
            return self._flood(round(ms * 200))
        elif what == "priority_lost":
            return self._lose_priority(ms)
        else:
            time.sleep(0.05)
        return self.ask("report")

    def _flood(self, packets: int) -> tuple[str, float]:
        """Faster than it is read, as from an adapter gone wild; one that was read in time again."""
        told = (NONE, 0.0)
        for _ in range(FLOODS_MAX):
            self._send(packets)
            told = self.ask("report")
            if told[0] != NONE:
                break
        return told

    def _send(self, packets: int) -> None:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        for _ in range(packets):
            self._ours.send(PACKET)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def _lose_priority(self, ms: float) -> tuple[str, float]:
        for process in self._beside:
            self._burn(process, 60 + ms)
        os.sched_setscheduler(self._victim.pid, os.SCHED_OTHER, os.sched_param(0))
        for process in self._beside:
            self._burned(process)
        told = self.ask("report")
        os.sched_setscheduler(self._victim.pid, os.SCHED_FIFO, os.sched_param(50))
        return told


def measure(each: int, seed: int) -> Counter[tuple[str, str]]:
    """(injected, told) -> how often; `each` of every kind in random order."""
    chance = random.Random(seed)
    plan = [what for what in EXPECTED for _ in range(each)]
    chance.shuffle(plan)
    found: Counter[tuple[str, str]] = Counter()
    with Experiment(chance) as experiment:
        for what in plan:
            told, _ms = experiment.play(what)
            found[what, told] += 1
    return found


def attributed(found: Counter[tuple[str, str]], what: str) -> float:
    """Share of the injections of one kind that got their class."""
    total = sum(count for (injected, _), count in found.items() if injected == what)
    return found[what, EXPECTED[what]] / max(1, total)


def page(found: Counter[tuple[str, str]], seed: int) -> str:
    """The confusion matrix as a page."""
    told = [NONE, *CLASSES]
    rows = [
        f"| {what} | " + " | ".join(str(found[what, name] or "·") for name in told)
        + f" | {attributed(found, what):.0%} |"
        for what in EXPECTED
    ]  # fmt: skip
    commit, total = str(head()["commit"])[:12], sum(found.values())
    right = sum(found[what, name] for what, name in EXPECTED.items())
    return "\n".join([
        "# Lateness has a name", "",
        "A turn of the beam executive that comes more than 0.5 ms late is explained from counters",
        "of the kernel alone (`realtime/lateness.py`); the class stands in `late_cause` of the",
        "state and in the detail of a `stall` trip.", "",
        "The matrix: stalls of 8 … 25 ms injected at random phases in random order into a process",
        "with the executive's form of turn, which does not know what is done to it",
        "(`python -m bench.stalls --write`). Rows: injected; columns: told. `gc` is `own_code`:",
        "the kernel cannot tell the collector from other code of ours, and the executive runs with",
        "the collector off.", "",
        "| injected | " + " | ".join(told) + " | right |",
        "|---|" + "---:|" * (len(told) + 1), *rows, "",
        f"{right} of {total} right ({right / total:.1%}), seed {seed}, commit {commit}.", "",
    ])  # fmt: skip


def main() -> int:
    """Measure and print the matrix; exit 1 when any class is right in less than 95 %."""
    parser = argparse.ArgumentParser(prog="stalls", description="The classifier of lateness.")
    parser.add_argument("--victim", nargs=3, metavar=("FD", "FILE", "CORE"))
    parser.add_argument("--each", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write docs/lateness.md")
    asked = parser.parse_args()
    if asked.victim:
        os.sched_setaffinity(0, {int(asked.victim[2])})
        line = socket.socket(fileno=int(asked.victim[0]))
        fcntl.fcntl(line, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        with Path(asked.victim[1]).open("ab") as disk:
            Victim(line, disk).run()
        return 0
    found = measure(asked.each, asked.seed)
    text = page(found, asked.seed)
    print(text)
    if asked.write:
        PAGE.write_text(text)
    return 0 if all(attributed(found, what) >= 0.95 for what in EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main())
