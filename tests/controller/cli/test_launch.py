"""The launcher with small parts of its own: starts, restarts, gives up, ends in order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli import launch
from controller.cli.launch import is_alive, read_pids
from controller.cli.machine import BENCH as BENCH_FILE
from tests.controller.supervisor.peers import until

PART = """
import os, pathlib, signal, sys, time
run_dir = pathlib.Path(sys.argv[sys.argv.index("--run-dir") + 1])
name = "{name}"
def leave(number, frame):
    with (run_dir / "order").open("a") as f:
        f.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
if (run_dir / ("refuse-" + name)).exists():
    sys.exit(3)
(run_dir / ("ran-" + name)).touch()
while True:
    signal.pause()
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A run directory in which a launcher watches five small processes."""
    parts = {name: f"part_{name.replace('-', '_')}" for name in launch.PARTS}
    for name, module in parts.items():
        (tmp_path / f"{module}.py").write_text(PART.replace("{name}", name))
    main = (
        "import sys; from controller.cli import launch; "
        f"launch.PARTS.update({parts!r}); sys.exit(launch.main())"
    )
    (tmp_path / "refuse-imaging").touch()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    launcher = subprocess.Popen(
        [sys.executable, "-c", main, "--config", str(BENCH_FILE), "--run-dir", str(tmp_path)],
        env=environment, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until("parts", lambda: len(list(tmp_path.glob("ran-*"))) == 4)
        yield tmp_path
    finally:
        launcher.send_signal(signal.SIGTERM)
        # Dead already where a test killed it.
        assert launcher.wait(20) in (0, -signal.SIGKILL)


@pytest.mark.process
def test_a_part_that_dies_is_started_again(machine: Path) -> None:
    before = read_pids(machine)
    os.kill(before["realtime"], signal.SIGKILL)
    until("restart", lambda: read_pids(machine).get("realtime", 0) not in (0, before["realtime"]))
    after = read_pids(machine)
    for name in ("launcher", "rig-line", "rig-world", "supervisor"):
        assert after[name] == before[name]


@pytest.mark.process
def test_a_part_that_refuses_is_not_tried_for_ever(machine: Path) -> None:
    until("given up", lambda: "imaging" not in read_pids(machine))
    assert not (machine / "ran-imaging").exists()


@pytest.mark.process
def test_the_end_is_what_may_radiate_first_and_the_room_last(machine: Path) -> None:
    pids = read_pids(machine)
    os.kill(pids["launcher"], signal.SIGTERM)
    until("end", lambda: not is_alive(pids["launcher"]))
    ended = (machine / "order").read_text().split()
    assert ended == [name for name in launch.STOP_ORDER if name != "imaging"]
    assert not any(is_alive(pid) for pid in pids.values())
    assert not (machine / "pids").exists()


@pytest.mark.process
def test_when_the_launcher_is_killed_its_parts_end(machine: Path) -> None:
    pids = read_pids(machine)
    os.kill(pids["launcher"], signal.SIGKILL)
    until("end", lambda: not any(is_alive(pid) for pid in pids.values()))
    assert read_pids(machine) == {}
    assert not is_alive(0)


def test_no_pids_where_nothing_runs(tmp_path: Path) -> None:
    assert read_pids(tmp_path) == {}
    (tmp_path / "pids").write_text("{")
    assert read_pids(tmp_path) == {}
    (tmp_path / "pids").write_text('{"launcher": 0, "realtime": 1}')
    assert read_pids(tmp_path) == {}
