"""The package: locked like the project, and its helpers of the shell do what they say."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from controller.core.technique import from_config
from realtime.wire.config import load

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"


def pins(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_the_board_gets_the_versions_that_were_tested() -> None:
    tested, board = pins(ROOT / ".ci/requirements.lock"), pins(ROOT / ".ci/board.lock")
    different = {name for name, versions in board.items() if versions != tested.get(name)}
    assert different == {"pip"}


def test_the_board_gets_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", row)[0] for row in project["dependencies"]}
    assert names - set(pins(ROOT / ".ci/board.lock")) == set()


def test_every_pin_of_the_board_has_a_hash() -> None:
    pin = re.compile(r"^(?=[a-z0-9-]+==)", re.MULTILINE)
    _head, *blocks = pin.split((ROOT / ".ci/board.lock").read_text())
    assert len(blocks) > 20
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("script", [".ci/setup", ".ci/board", "systemd/install-python"])
def test_a_lock_is_taken_as_it_is(script: str) -> None:
    """An older pip (Debian 12's) that resolves meets releases newer than the locked and stops."""
    words = (ROOT / script).read_text().replace("\\\n", " ").splitlines()
    locked = [line for line in words if "--require-hashes" in line]
    assert locked
    assert [line for line in locked if "--no-deps" not in line] == []


def test_the_profile_of_a_board_is_allowed_and_fits() -> None:
    config = load(ROOT / "controller/profiles/board.toml")
    assert config["profile"] == "board"
    assert from_config(config).technique_id >= 0


@pytest.mark.parametrize(
    ("cores", "beam", "others"),
    [(4, "3", "0-2"), (8, "7", "0-6"), (3, None, None), (1, None, None)],
)
def test_a_core_is_reserved_from_four_up(
    tmp_path: Path, cores: int, beam: str | None, others: str | None
) -> None:
    for first in (8, cores):  # a board that lost its cores loses the drop-ins, too
        command = [str(SYSTEMD / "reserve-core"), str(first), str(tmp_path)]
        subprocess.run(command, check=True)
    found = {path.parent.name: path.read_text() for path in tmp_path.rglob("*.conf")}
    given = {"realtime": beam, **dict.fromkeys(("supervisor", "imaging", "service"), others)}
    wanted = {
        f"carm-{name}.service.d": f"[Service]\nCPUAffinity={where}\n"
        for name, where in given.items()
        if where is not None
    }
    assert found == wanted


def test_evidence_outlives_the_package() -> None:
    text = (SYSTEMD / "deb/postrm").read_text()
    assert "rm -rf /opt/carm /run/carm" in text
    assert not re.search(r"rm .*?/var/lib/carm", text)
    assert "systemctl stop carm.target" in (SYSTEMD / "deb/prerm").read_text()
