"""Bad input: configurations refused, techniques that do not fit, garbage on every socket, places
taken.  Nothing starts, or nothing changes.
"""

from __future__ import annotations

import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from controller.cli.machine import BENCH
from tests.system.machine import Machine

# What is changed in the bench profile, the key that the refusal names, a word of what is allowed.
VARIANTS: Final = [
    ("[beam]", "[beam]\ninterlocks = false", "beam.interlocks", "not a key"),
    ("spacing_min_us = 30000\n", "", "beam.spacing_min_us", "a whole number"),
    ("rise_us = 300", "rise_us = nan", "generator.rise_us", "a whole number"),
    ("kv = 70.0", "kv = nan", "technique.kv", "a number"),
    ("kv = [40.0, 120.0]", "kv = [120.0, 40.0]", "generator.kv", "low < high"),
    ("guard_close_us = 300", "guard_close_us = 0", "beam.guard_close_us", "100"),
    ("run_max_s = 600.0", "run_max_s = inf", "beam.run_max_s", "600"),
    ("prep_max_s = 30", "prep_max_s = false", "supervisor.prep_max_s", "30"),
    ("heartbeat_ms = 100", "heartbeat_ms = 0", "generator.heartbeat_ms", "20"),
]  # fmt: skip


LINE_BYTES: Final = 4096


def carm(*words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "controller.cli.main", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.mark.process
@pytest.mark.parametrize(("old", "new", "key", "allowed"), VARIANTS, ids=[v[2] for v in VARIANTS])
def test_a_bad_configuration_starts_nothing_and_names_its_key(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    text = BENCH.read_text()
    assert old in text
    bad, run_dir = tmp_path / "bad.toml", tmp_path / "run"
    bad.write_text(text.replace(old, new, 1))
    done = carm("up", "--run-dir", str(run_dir), "--config", str(bad), "--json")
    assert done.returncode == 2, done.stderr
    error = json.loads(done.stdout)["error"]
    assert (error["key"], error["blame"]) == (key, "input")
    assert allowed in error["allowed"]
    assert error["remedy"]
    assert not run_dir.exists()


@pytest.mark.process
def test_each_process_refuses_a_bad_configuration_by_itself(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(BENCH.read_text().replace("guard_open_us = 300", "guard_open_us = 1", 1))
    parts = ("realtime", "controller.supervisor", "controller.imaging", "hil.rig.line",
             "hil.rig.world")  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, "-m", part, "--config", str(bad), "--run-dir", str(tmp_path)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for part in parts
    ]  # fmt: skip
    for process in running:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2, said
        assert "beam.guard_open_us" in said
        assert "100 … 5000" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml"]


@pytest.mark.process
def test_a_technique_that_does_not_fit_is_refused_with_the_arithmetic(machine: Machine) -> None:
    before = machine.local("status")["technique"]
    error = machine.local("set", ms=12.5)["error"]
    assert (error["code"], error["key"], error["value"]) == ("does_not_fit_window", "ms", 12.5)
    for term in ("width 12500", "tail 263", "rise 300", "window 13000", "too long"):
        assert term in error["allowed"], error["allowed"]
    error = machine.local("set", kv=1e9)["error"]
    assert (error["key"], error["allowed"]) == ("kv", "40 … 120")
    assert machine.local("status")["technique"] == before
    assert machine.mode() == "READY"


@pytest.mark.process
def test_a_socket_in_use_is_one_sentence_and_code_3(machine: Machine) -> None:
    for part in ("realtime", "controller.supervisor", "controller.imaging", "hil.rig.line",
                 "hil.rig.world"):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", part, "--config", str(machine.config), "--run-dir",
             str(machine.run_dir)], capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 3, f"{part}: {done.stderr}"
        told = [line for line in done.stderr.splitlines() if ".sock" in line or "run-dir" in line]
        assert len(told) == 1, f"{part}: {done.stderr}"
        assert "Traceback" not in done.stderr
    assert carm("up", "--run-dir", str(machine.run_dir), "--json").returncode == 3
    machine.assert_shines()


def seqpacket(path: Path, datagrams: list[bytes]) -> None:
    """Throw datagrams at a socket for as long as somebody takes them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        link.settimeout(1.0)
        try:
            link.connect(str(path))
            for datagram in datagrams:
                link.send(datagram)
        except OSError:
            return


def lines_of_json(path: Path, lines: list[bytes]) -> list[bytes]:
    """Send lines to a stream socket; what is answered within a moment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(2.0)
        link.connect(str(path))
        answers = []
        for line in lines:
            try:
                link.sendall(line + b"\n")
                if select.select([link], [], [], 1.0)[0]:
                    answers.append(link.recv(65_536))
            except OSError:
                break
        return answers


def garbage(chance: random.Random) -> list[bytes]:
    """Noise of many lengths, and things that are nearly a message."""
    noise = [chance.randbytes(chance.randrange(1, 4096)) for _ in range(8)]
    nearly = [b"\x82\xa1m\xa5order\xa1v\x01", b"\x80", b"\xc1", b"\x91" * 4000,
              b"CLB1" + bytes(24), struct.pack("<Q", 2**64 - 1)]  # fmt: skip
    return [*noise, *nearly]


SEQPACKETS: Final = ("orders.sock", "verdicts.sock", "imaging.sock", "panel.sock", "lines.sock",
                     "room.sock", "frame-ring.sock")  # fmt: skip
# Where the rig's own end serves one partner only, a second client takes its place.
RIG_INSIDE: Final = ("room.sock",)
JUNK: Final = [b"", b"{", b"[]", b"null", b'{"do": 5}', b'{"do": "launch"}', b"\xff\xfe",
               b'{"do": "set", "kv": NaN}', b'{"do": "set", "kv": 1e999}', b'{"do":"ready"' * 3,
               b"[" * 5000, b'{"do": "press fluoro", "phase": "x"}', b"9" * 5000]  # fmt: skip


@pytest.mark.process
@pytest.mark.parametrize("name", [n for n in SEQPACKETS if n not in RIG_INSIDE])
def test_garbage_from_a_second_client_changes_nothing(
    machine: Machine, chance: random.Random, name: str
) -> None:
    machine.rest()
    machine.make_ready()
    pids = {part: machine.pid(part) for part in ("realtime", "supervisor", "imaging", "rig-world")}
    assert (machine.run_dir / name).exists()
    for _ in range(3):
        seqpacket(machine.run_dir / name, garbage(chance))
    machine.assert_shines()
    assert {part: machine.pid(part) for part in pids} == pids


@pytest.mark.process
@pytest.mark.parametrize("name", ["local.sock", "rig.sock", "service.sock"])
def test_garbage_lines_are_refused_one_by_one(machine: Machine, name: str) -> None:
    pid = machine.pid("supervisor")
    for junk in JUNK:
        for answer in lines_of_json(machine.run_dir / name, [junk]):
            # A line too long for a desk is hung up on instead of being answered.
            hung_up = answer == b"" and len(junk) > LINE_BYTES
            assert hung_up or b'"error"' in answer, (junk, answer)
    # Half a line, then nothing: nobody waits for it.
    for _ in range(3):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.connect(str(machine.run_dir / name))
            link.sendall(b'{"do": "sta')
    assert machine.local("status")["mode"] in ("READY", "HOLD")
    assert machine.pid("supervisor") == pid


@pytest.mark.process
def test_garbage_in_mid_beam_does_not_touch_it(machine: Machine, chance: random.Random) -> None:
    def occasion() -> None:
        machine.shine()
        begun_ns = machine.starts(0)[-1]
        for name in SEQPACKETS:
            if name not in RIG_INSIDE:
                seqpacket(machine.run_dir / name, garbage(chance))
        for name in ("local.sock", "rig.sock", "service.sock"):
            lines_of_json(machine.run_dir / name, JUNK[:6])
        shone_ns = machine.truth()[-1].t_ns
        machine.quiet()
        machine.blame("the beam did not last")
        assert machine.mode() == "EXPOSING", machine.held()
        assert [t_ns for t_ns in machine.starts(begun_ns) if t_ns > shone_ns]

    machine.play(occasion)
    machine.rest()


@pytest.mark.process
def test_garbage_on_the_generators_bus_is_dark_or_nothing(
    machine: Machine, chance: random.Random
) -> None:
    machine.rest()
    machine.make_ready()
    bus = os.open(machine.run_dir / "can", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        for _ in range(50):
            junk = chance.choice([chance.randbytes(20), b"t18", b"tFFF9\r", b"T1\r", b"t1808\r"])
            try:
                os.write(bus, junk + b"\r")
            except BlockingIOError:
                time.sleep(0.01)
    finally:
        os.close(bus)
    machine.quiet()
    begun_ns = machine.truth()[-1].t_ns
    assert machine.starts(begun_ns) == []
    machine.assert_shines()


def answer_of(machine: Machine, request: dict[str, Any]) -> Any:
    """One request to the board."""
    return json.loads(
        lines_of_json(machine.run_dir / "local.sock", [json.dumps(request).encode()])[0]
    )


@pytest.mark.process
def test_unknown_words_at_the_board_are_refused_by_name(machine: Machine) -> None:
    assert answer_of(machine, {"do": "set", "colour": 3})["error"]["key"] == "colour"
    assert answer_of(machine, {"do": "set", "kv": "high"})["error"]["key"] == "kv"
    assert answer_of(machine, {"do": "select", "cine_mode": "x"})["error"]["key"] == "cine_mode"
    assert answer_of(machine, {"do": "explode"})["error"]["code"] == "malformed"
