"""`carm service` and `carm audit` at the prompt: exit codes, files, and what they refuse."""

import json
import tomllib
from pathlib import Path

import pytest

from controller.service.core.commands import COMMANDS
from controller.service.core.envelope import read
from controller.service.core.levels import Role
from controller.service.journal import AUDIT, AuditLog
from realtime.wire.config import ConfigError, check
from tests.house import rules, tree
from tests.service import bench_folder, rooms
from tests.service.prompt import carm


def test_signing_prints_a_payload_that_is_a_command_and_refuses_what_is_none(
    tmp_path: Path,
) -> None:
    key, file = tmp_path / "emil.key", tmp_path / "body"
    assert carm("service", "keygen", str(key), str(tmp_path / "emil.pem")).returncode == 0
    assert key.stat().st_mode & 0o077 == 0
    assert carm("service", "keygen", str(key), str(tmp_path / "emil.pem")).returncode == 2
    file.write_text(json.dumps(bench_folder.body()))
    done = carm("service", "sign", str(file), "--key", str(key))
    assert done.returncode == 0
    assert read(done.stdout.strip().encode(), "lock_out").body.by == "emil"
    file.write_text(json.dumps(bench_folder.body(arguments={})))
    assert carm("service", "sign", str(file), "--key", str(key)).returncode == 1


def test_the_audit_log_is_judged(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "service"
    folder.mkdir(parents=True)
    log = AuditLog(folder, 1)
    log.write(2, "accepted", {"id": "x"})
    log.close()
    good = carm("audit", "verify", "--run-dir", str(tmp_path), "--json")
    assert (good.returncode, json.loads(good.stdout)["entries"]) == (0, 1)
    (folder / AUDIT).write_text((folder / AUDIT).read_text().replace('"x"', '"y"'))
    bad = carm("audit", "verify", "--run-dir", str(tmp_path), "--json")
    told = json.loads(bad.stdout)
    assert (bad.returncode, told["ok"], told["line"]) == (1, False, 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("service", "open", "--minutes", "5"), 3),
        (("service", "command", "why", "--port", "1"), 3),
        (("service", "command", "lock_out", "--port", "1"), 2),
        (("service", "command", "no_such", "--port", "1"), 2),
        (("service", "download", "everything", "x", "--port", "1"), 2),
        (("service", "watch"), 2),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_a_code(
    words: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    done = carm(*words, "--run-dir", str(tmp_path / "nowhere"))
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"broker": "external", "port": 1883, "host": "broker.example"}, "mqtt.security"),
        ({"broker": "external", "port": 0}, "mqtt.port"),
        ({"broker": "embedded", "protocol": "5"}, "mqtt.protocol"),
        ({"broker": "embedded", "security": "tls"}, "mqtt.broker"),
        ({"broker": "none"}, "mqtt.broker"),
    ],
)
def test_a_broker_that_would_be_open_or_cannot_be_is_refused(
    changed: dict[str, object], key: str
) -> None:
    table = tomllib.loads(rooms.BENCH.read_text())
    assert check(table)["mqtt.broker"] == "off"
    table["mqtt"] |= changed
    with pytest.raises(ConfigError) as told:
        check(table)
    assert told.value.key == key


def test_what_service_decides_sees_no_clock_and_no_outside_world() -> None:
    files = tree.python_files("controller/service/core")
    assert len(files) >= 8
    found = [
        f"{path.name}: {one}" for path in files for one in rules.pure_imports(path.read_text())
    ]
    assert found == []


def test_the_listed_rules_let_an_observer_ask_exactly_what_his_role_may() -> None:
    rules_of: dict[str, set[str]] = {}
    who = ""
    for line in (rooms.LISTED / "carm.acl").read_text().splitlines():
        if line.startswith("user "):
            who = line.removeprefix("user ")
        elif line.startswith("topic "):
            rules_of.setdefault(who, set()).add(line.removeprefix("topic "))
    asked = {rule.rpartition("/")[2] for rule in rules_of["observer-bench"] if "/cmd/" in rule}
    assert asked == {row.name for row in COMMANDS.values() if row.role <= Role.OBSERVER}
    writers = [name for name, found in rules_of.items()
               if any(rule.startswith("write carm/bench-1/state") for rule in found)]  # fmt: skip
    assert writers == ["device-bench-1"]
