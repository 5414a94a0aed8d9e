"""The units: clean, confined, each directive explained, and saying the same as the launcher."""

import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli.launch import HOPELESS, PARTS, SERVICE_PARTS, STOP_ORDER
from tests.plugins.verdict import left_out

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = {
    f"carm-{part}": module
    for part, module in (PARTS | SERVICE_PARTS).items()
    if not part.startswith("rig") and part != "broker"
}
EXPOSURE_MAX = {"carm-realtime": 20}  # tenths, as systemd-analyze counts; all others 15
INTERPRETER = "/opt/carm/bin/python"
# A parent's own directives; a unit file that carries them is read by other tools.
NOT_EXPLAINED = {"Description", "Documentation"}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("carm*") if path.is_file())


def directives(path: Path) -> list[tuple[str, str]]:
    rows = [line.partition("=") for line in path.read_text().splitlines()]
    return [(key, value) for key, equals, value in rows if equals and not key.startswith("#")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The units with an interpreter that exists on this machine."""
    if shutil.which("systemd-analyze") is None:
        left_out("systemd-analyze is not installed")
    for path in files(UNITS):
        text = path.read_text().replace(INTERPRETER, sys.executable)
        (tmp_path / path.name).write_text(text)
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)


@pytest.mark.process
def test_units_are_clean_and_a_spoiled_one_is_not(folder: Path) -> None:
    done = analyze("verify", *map(str, files(folder)))
    assert (done.returncode, done.stderr) == (0, "")
    spoiled = folder / "carm-imaging.service"
    spoiled.write_text(spoiled.read_text().replace("RestartSec=100ms", "RestartSec=soon"))
    assert "carm-imaging" in analyze("verify", *map(str, files(folder))).stderr


@pytest.mark.process
@pytest.mark.parametrize("unit", SERVICES)
def test_a_unit_is_confined(folder: Path, unit: str) -> None:
    limit = EXPOSURE_MAX.get(unit, 15)
    path = folder / f"{unit}.service"
    words = ("security", "--offline=yes", "--no-pager", f"--threshold={limit}", str(path))
    assert analyze(*words).returncode == 0
    lines = path.read_text().splitlines(keepends=True)
    bare = [line for line in lines if not line.startswith(("Protect", "SystemCall", "Capability"))]
    path.write_text("".join(bare))
    assert analyze(*words).returncode == 1


@pytest.mark.parametrize(("unit", "module"), SERVICES.items())
def test_a_unit_starts_what_the_launcher_starts(unit: str, module: str) -> None:
    rows = directives(UNITS / f"{unit}.service")
    (start,) = [value for key, value in rows if key == "ExecStart"]
    assert start.startswith(f"{INTERPRETER} -m {module} ")
    codes = " ".join(str(code) for code in HOPELESS)
    assert ("RestartPreventExitStatus", codes) in rows
    assert f"{unit}.service" in (UNITS / "carm.target").read_text()


@pytest.mark.parametrize("unit", SERVICES)
def test_what_may_hang_is_watched_bounded_and_told(unit: str) -> None:
    given = dict(directives(UNITS / f"{unit}.service"))
    assert given["Type"] == "notify"
    assert given["NotifyAccess"] == "main"
    assert given["WatchdogSignal"] == "SIGABRT"
    assert given["OnFailure"] == "carm-failed@%N.service"
    # Slack of systemd's watchdog timer is 250 ms and has to stay below 10 %.
    assert int(given["WatchdogSec"].removesuffix("s")) >= 3
    assert {"StartLimitBurst", "StartLimitIntervalSec", "TasksMax", "TimeoutStopSec"} <= set(given)


def test_only_the_executive_may_take_a_core() -> None:
    fifo = [unit for unit in SERVICES
            if dict(directives(UNITS / f"{unit}.service")).get("CPUSchedulingPolicy")]  # fmt: skip
    strict = [unit for unit in SERVICES
              if dict(directives(UNITS / f"{unit}.service")).get("RestrictRealtime")]  # fmt: skip
    assert (fifo, sorted({*SERVICES} - {*strict})) == (["carm-realtime"], ["carm-realtime"])


def test_the_stop_is_dark_first() -> None:
    """The stop is the reverse of After=; that has to be the launcher's order."""
    after = {
        unit: dict(directives(UNITS / f"{unit}.service")).get("After", "") for unit in SERVICES
    }
    ours = [part for part in STOP_ORDER if f"carm-{part}" in SERVICES]
    for earlier, later in itertools.pairwise(ours):
        assert f"carm-{later}.service" in after[f"carm-{earlier}"]


def test_every_directive_has_its_reason() -> None:
    page = (UNITS / "README.md").read_text()
    told = set(re.findall(r"`([A-Z][A-Za-z]+)=", page))
    used = {key for path in files(UNITS) for key, _ in directives(path)}
    assert used - told - NOT_EXPLAINED == set()
    assert told - used - {"ProcSubset", "PrivateUsers", "RootDirectory"} == set()


def test_the_network_facing_process_cannot_reach_the_beam() -> None:
    given = dict(directives(UNITS / "carm-service.service"))
    beam = dict(directives(UNITS / "carm-realtime.service"))
    assert given["User"] != beam["User"]
    assert "SupplementaryGroups" not in given
    assert "/run/carm" not in given["ReadWritePaths"].split()
    assert beam["PrivateNetwork"] == "yes"
