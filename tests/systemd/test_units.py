"""The units are clean, and say the same as the launcher about what is started."""

import shutil
import subprocess
from pathlib import Path

import pytest

from controller.cli.launch import HOPELESS, PARTS
from tests.plugins.verdict import left_out

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = {
    "carm-realtime": "realtime", "carm-supervisor": "supervisor", "carm-imaging": "imaging",
}  # fmt: skip


def verify(folder: Path) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        left_out("systemd-analyze is not installed")
    units = [str(path) for path in sorted(folder.glob("carm*")) if path.is_file()]
    return subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True,
                          check=False)  # fmt: skip


@pytest.mark.process
def test_units_are_clean_and_a_spoiled_one_is_not(tmp_path: Path) -> None:
    done = verify(UNITS)
    assert (done.returncode, done.stderr) == (0, "")
    for path in UNITS.glob("carm*"):
        if path.is_file():
            shutil.copy(path, tmp_path)
    spoiled = tmp_path / "carm-imaging.service"
    spoiled.write_text(spoiled.read_text().replace("RestartSec=100ms", "RestartSec=soon"))
    assert "carm-imaging" in verify(tmp_path).stderr


@pytest.mark.parametrize(("unit", "part"), SERVICES.items())
def test_a_unit_starts_what_the_launcher_starts(unit: str, part: str) -> None:
    lines = (UNITS / f"{unit}.service").read_text().splitlines()
    (start,) = [line for line in lines if line.startswith("ExecStart=")]
    assert f" -m {PARTS[part]} " in start
    codes = " ".join(str(code) for code in HOPELESS)
    assert f"RestartPreventExitStatus={codes}" in lines
    assert f"{unit}.service" in (UNITS / "carm.target").read_text()
