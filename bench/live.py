"""Figures of the running machine: release, lateness, window, deaths, frames.

Lives here: the experiments of "what it must reach", each over the real processes and the room's
truth.  May not live here: starting the machine (`bed`) or measuring from inside the product.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import Any, Final

from bench.bed import Bed
from bench.figure import Reading
from bench.floors import quantile
from bench.harness import CannotMeasure, Experiment, Samples
from hil.referee.metrics import Deaths

RATE: Final = "30.0"
# Long enough that every lease has run out: the order's 100 ms and its 150 ms limit.
SETTLE_S: Final = 0.4
AFTER_RELEASE_S: Final = 0.15
DEATHS: Final = (
    ("kill", "kill9", "realtime", "to_dark"),
    ("stop", "sigstop", "realtime", "to_dark"),
    ("kill", "kill9", "supervisor", "to_dark"),
    ("stop", "sigstop", "supervisor", "to_dark"),
    ("kill", "kill9", "imaging", "pulses"),
    ("stop", "sigstop", "imaging", "pulses"),
)


def _broken(verdict: dict[str, Any]) -> float:
    rows = [*verdict["invariants"], *verdict["crosschecks"]]
    return float(sum(row["violations"] for row in rows))


def _peer(what: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bench.peers", what, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _samples_of(peer: subprocess.Popen[str]) -> list[float]:
    told, _ = peer.communicate(timeout=120)
    if peer.returncode != 0:
        raise CannotMeasure(f"a bare peer ended with {peer.returncode}")
    samples: list[float] = json.loads(told)["samples"]
    return samples


def release_chunk(count: int) -> Samples:
    """Releases at a phase uniform inside the pulse, 30 frames/s flowing, beside bare peers."""
    chance = random.Random(time.monotonic_ns())
    with Bed(pulses_per_s=RATE) as bed:
        bed.make_ready()
        peers = [_peer("echo", 1_000), _peer("sleep", 1_000)]
        ended = 0
        for _ in range(count):
            ended += bed.shine()
            bed.act_in_pulse("release fluoro", chance.random())
            time.sleep(AFTER_RELEASE_S)
        echo, asleep = (_samples_of(peer) for peer in peers)
        metrics, verdict = bed.judge()
    return {
        "ended": [float(ended)],
        "release_us": [ns / 1000 for ns in metrics.releases.dark_ns],
        "late_us": [ns / 1000 for ns in metrics.lateness.late_ns],
        "between": [float(metrics.releases.between)],
        "after": [float(metrics.releases.pulses_after)],
        "broken": [_broken(verdict)],
        "echo_us": echo,
        "sleep_us": asleep,
    }


def release_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Release, lateness and what the referee said."""
    release, late = samples.get("release_us", []), samples.get("late_us", [])
    echo, asleep = samples.get("echo_us", []), samples.get("sleep_us", [])
    readings = []
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        bare = quantile(echo, fraction)
        readings.append(Reading(
            f"beam.release_to_gate_off_{name}", "beam",
            f"release contact to gate off in mid-pulse, {name}", "us",
            quantile(release, fraction), len(release), 10_000,
            None if bare is None else ("bare echo, same run", bare), reason,
        ))  # fmt: skip
    bare = quantile(asleep, 0.99)
    early = float(sum(value < 0 for value in late)) if late else None
    readings += [
        Reading("beam.pulse_early", "beam", "pulses that left before they were due", "count",
                early, len(late), 10_000, None, reason),
        Reading("beam.pulse_lateness_p99", "beam", "lateness of PULSE at the kernel's stamp, p99",
                "us", quantile(late, 0.99), len(late), 10_000,
                None if bare is None else ("bare clock_nanosleep, same run", bare), reason),
        Reading("beam.pulses_after_release", "beam", "pulses after a release, until a fresh press",
                "count", sum(samples["after"]) if "after" in samples else None, n, 10_000,
                None, reason),
        Reading("beam.runs_ended_by_fault", "beam", "runs that ended in a fault nobody injected",
                "count", sum(samples["ended"]) if "ended" in samples else None, n, 10_000,
                None if not asleep else ("worst bare sleep, same run, us", max(asleep)), reason),
        Reading("beam.referee_violations", "beam", "violations the referee found in these runs",
                "count", sum(samples["broken"]) if "broken" in samples else None, n, 10_000,
                None, reason),
    ]  # fmt: skip
    return readings


def window_experiment(topology: str, n_quick: int) -> Experiment:
    """Pulses outside the window while one topology runs at its fastest."""

    def chunk(count: int) -> Samples:
        with Bed(pulses_per_s=RATE, topology=f'"{topology}"') as bed:
            bed.make_ready()
            ended = bed.shine_for(count)
            time.sleep(AFTER_RELEASE_S)
            metrics, verdict = bed.judge()
        return {
            "outside": [float(metrics.outside_window)],
            "pulses": [float(metrics.scene.pulse_count)],
            "broken": [_broken(verdict)],
            "ended": [float(ended)],
        }

    def read(samples: Samples, n: int, reason: str) -> list[Reading]:
        outside = sum(samples["outside"]) if "outside" in samples else None
        count = int(sum(samples.get("pulses", [])))
        ended = int(sum(samples.get("ended", [])))
        words = f"pulses outside the window, {topology.replace('_', ' ')}, 30/s"
        words += f" ({ended} runs ended by a fault nobody injected)" if ended else ""
        figure_id = f"beam.outside_window_{topology}"
        return [Reading(figure_id, "beam", words, "pulses", outside, count, 100_000, None, reason)]

    return Experiment(f"window_{topology}", n_quick, 100_000, min(n_quick, 20_000), chunk, read)


def _strike(bed: Bed, process: str, signal: str, chance: random.Random, number: int) -> None:
    bed.rig.wiring(preset=True, backup=True, window_gate=True)
    bed.make_ready()
    bed.shine(3)
    name = "KILL" if signal == "kill9" else "STOP"
    pid = bed.pid(process)
    # Every other one, and one more: in mid-pulse, with nothing but the monostable to end it.
    if number % 3:
        bed.rig.wiring(preset=False, backup=False, window_gate=False)
        bed.act_in_pulse(f"signal {process} {pid} {name}", chance.uniform(0.02, 0.9))
    else:
        bed.rig.do(f"signal {process} {pid} {name}", phase=chance.random(), phase_of="cycle")
    time.sleep(SETTLE_S)
    bed.rig.do("release fluoro")
    time.sleep(AFTER_RELEASE_S)
    if name == "STOP":
        bed.rig.do(f"signal {process} {pid} CONT")
    bed.wait("the end of the beam", lambda: not _shining(bed))


def _shining(bed: Bed) -> bool:
    before = bed.hv_count()
    time.sleep(0.1)
    return bed.hv_count() != before


def death_experiment(verb: str, signal: str, process: str, what: str, n_quick: int) -> Experiment:
    """Kills or stops of one process at random instants."""

    def chunk(count: int) -> Samples:
        chance = random.Random(time.monotonic_ns())
        with Bed(pulses_per_s=RATE) as bed:
            for number in range(count):
                _strike(bed, process, signal, chance, number)
            metrics, _ = bed.judge()
        found = next(d for d in metrics.deaths if (d.process, d.signal) == (process, signal))
        return _death_samples(found)

    def read(samples: Samples, n: int, reason: str) -> list[Reading]:
        counted = what == "pulses"
        values = samples.get("pulses" if counted else "dark_ms", [])
        words = "most pulses after it" if counted else "longest time to dark"
        mid = int(sum(samples.get("mid_pulse", [])))
        struck = int(sum(samples.get("struck", [])))
        text = f"{verb} of {process} at random instants ({mid} in mid-pulse), {words}"
        value = max(values, default=None)
        why = reason or ("" if values else "no beam was on when it was struck")
        unit = "pulses" if counted else "ms"
        figure_id = f"beam.{verb}_{process}_{what}"
        return [Reading(figure_id, "beam", text, unit, value, struck, 200, None, why)]

    return Experiment(f"{verb}_{process}", n_quick, 200, min(n_quick, 20), chunk, read)


def _death_samples(death: Deaths) -> Samples:
    row = death.row()
    return {
        "dark_ms": [ns / 1e6 for ns in death.dark_ns],
        "pulses": [float(count) for count in death.pulses_after],
        "mid_pulse": [float(row["mid_pulse_n"])],
        "struck": [float(row["n"])],
    }


def frames_chunk(count: int) -> Samples:
    """Frames at 30/s into a subscriber of its own process, to the last one's tail.

    Lost is what the stream lost and what it declares missing: a pulse without a picture.
    """
    command = [sys.executable, "-m", "controller.cli.main", "frames", "--json"]
    with Bed(pulses_per_s=RATE) as bed:
        bed.make_ready()
        subscriber = subprocess.Popen(
            [*command, "--run-dir", str(bed.run_dir), "--count", str(count), "--tail", "3",
             "--timeout", str(20 + count / 20)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        ended = bed.shine_for(count + 3)
        told, _ = subscriber.communicate(timeout=30)
    report = json.loads(told)
    latency = report["latency_ms"]
    return {
        "ended": [float(ended)],
        "received": [float(report["received"])],
        "lost": [float(report["lost"] + sum(report["missing_by_reason"].values()))],
        "p50_ms": [latency["p50"]],
        "p99_ms": [latency["p99"]],
    }


def frames_read(samples: Samples, n: int, reason: str) -> list[Reading]:
    """Lost frames and latency."""
    received = int(sum(samples.get("received", [])))
    lost = sum(samples["lost"]) if "lost" in samples else None
    ended = int(sum(samples.get("ended", [])))
    words = "frames of 1024 x 1024 at 30/s lost or missing"
    words += f" ({ended} runs ended by a fault nobody injected)" if ended else ""
    rows = [
        Reading(
            "images.frames_lost", "images", words, "frames", lost, received, 1_800, None, reason
        )
    ]
    for name in ("p50", "p99"):
        worst = max(samples.get(f"{name}_ms", []), default=None)
        rows.append(Reading(
            f"images.latency_{name}", "images", f"end of readout to subscriber, {name}", "ms",
            worst, received, 1_800, None, reason,
        ))  # fmt: skip
    return rows


def experiments() -> list[Experiment]:
    """The figures of the running machine, in the order of the file."""
    return [
        Experiment("release", 150, 10_000, 150, release_chunk, release_read),
        window_experiment("controller_master", 600),
        window_experiment("panel_master", 600),
        *(death_experiment(*row, n_quick=6) for row in DEATHS),
        Experiment("frames", 600, 1_800, 1_800, frames_chunk, frames_read),
    ]
