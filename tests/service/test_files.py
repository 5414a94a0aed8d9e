"""What service writes down survives a crash, and what was changed is found."""

import json
import os
import resource
from pathlib import Path

import pytest

from controller.core.refusal import Refusal
from controller.service.configs import PROPOSALS_MAX, Configs, chosen
from controller.service.core.limits import EVENTS_KEPT_MAX
from controller.service.core.replay import Seen, Taken
from controller.service.journal import (
    AUDIT,
    REPLAY,
    AuditDamaged,
    AuditLog,
    EventLog,
    ReplayFile,
    verify_audit,
)
from controller.service.keyfiles import read_ring
from tests.service import bench_folder

BENCH = Path(__file__).parents[2] / "controller" / "profiles" / "bench.toml"


def filled(folder: Path, count: int = 4) -> None:
    log = AuditLog(folder, 1)
    for number in range(count):
        log.write(number, "accepted", {"id": number}, durable=True)
    log.close()


def test_the_audit_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    filled(tmp_path)
    filled(tmp_path)
    assert verify_audit(tmp_path) == (8, AUDIT, None)


def test_a_torn_line_is_cut_off_and_told(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / AUDIT).open("ab") as log:
        log.write(b'{"seq":5,"t_')
    AuditLog(tmp_path, 9).close()
    entries, _, damage = verify_audit(tmp_path)
    assert (entries, damage) == (5, None)
    last = json.loads((tmp_path / AUDIT).read_text().splitlines()[-1])
    assert (last["kind"], last["fields"]) == ("recovered", {"torn_bytes": 12})


@pytest.mark.parametrize("hurt", ["changed", "cut", "gone"])
def test_a_log_that_was_changed_is_not_continued(tmp_path: Path, hurt: str) -> None:
    filled(tmp_path)
    path = tmp_path / AUDIT
    lines = path.read_text().splitlines(keepends=True)
    if hurt == "changed":
        path.write_text("".join(lines).replace('"id":2', '"id":7'))
    elif hurt == "cut":
        path.write_text("".join(lines[:-1]))
    else:
        path.unlink()
    assert verify_audit(tmp_path)[2] is not None
    with pytest.raises(AuditDamaged):
        AuditLog(tmp_path, 9)


def test_the_replay_window_survives_a_crash_with_a_torn_line(tmp_path: Path) -> None:
    first = ReplayFile(tmp_path, 8)
    for number in range(3):
        taken = Taken(1_000 + number, 10, "d")
        first.window.take(f"emil/{number}", taken)
        first.keep(f"emil/{number}", taken)
    first.close()
    with (tmp_path / REPLAY).open("ab") as log:
        log.write(b"1009 10 d")
    again = ReplayFile(tmp_path, 8)
    again.close()
    assert [again.window.seen(f"emil/{n}", 1_000 + n, "d", 20) for n in range(3)] == [
        Seen.JUST_NOW
    ] * 3
    assert len(again.window.ids) == 3


def test_what_was_forgotten_stays_forgotten_after_a_restart(tmp_path: Path) -> None:
    first = ReplayFile(tmp_path, 8)
    for key, expires_ms, now_ms in (("a", 100, 50), ("b", 900, 500)):
        taken = Taken(expires_ms, now_ms, "d")
        first.window.take(key, taken)
        first.keep(key, taken)
    first.close()
    ReplayFile(tmp_path, 8).close()
    again = ReplayFile(tmp_path, 8)
    again.close()
    assert again.window.seen("a", 100, "d", 60) is not Seen.NEVER
    assert again.window.seen("b", 900, "d", 600) is Seen.JUST_NOW


@pytest.mark.invariant(17)
def test_the_event_log_is_bounded(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for number in range(2 * EVENTS_KEPT_MAX + 10):
        log.add("mode", json.dumps({"seq": number}))
    log.close()
    again = EventLog(tmp_path)
    again.close()
    assert len(again.kept) == EVENTS_KEPT_MAX
    assert json.loads(again.kept[-1]) == {"event": "mode", "seq": 2 * EVENTS_KEPT_MAX + 9}


def test_keys_are_read_by_role_and_others_left_out(tmp_path: Path) -> None:
    bench_folder.write_keys(tmp_path)
    keys = tmp_path / "service-keys"
    (keys / "engineer" / "broken.pem").write_text("no key")
    (keys / "king").mkdir()
    (keys / "king" / "me.pem").write_text((keys / "engineer" / "emil.pem").read_text())
    os.symlink(keys / "engineer" / "emil.pem", keys / "observer" / "emil.pem")
    ring = read_ring(keys)
    assert {name: one.role.name for name, one in ring.items()} == {
        "olga": "OBSERVER", "emil": "ENGINEER", "anna": "ADMINISTRATOR",
    }  # fmt: skip


def test_a_queued_configuration_counts_at_the_next_start_and_can_be_rolled_back(
    tmp_path: Path,
) -> None:
    configs = Configs(tmp_path, BENCH)
    proposed = configs.propose(BENCH.read_text().replace("kv = 70.0", "kv = 72.0"))
    assert proposed["changes"] == ["technique.kv"]
    configs.queue(proposed["proposal"])
    assert configs.report()["queued"] == proposed["proposal"]
    assert "kv = 72.0" in chosen(tmp_path, BENCH).read_text()
    assert "kv = 72.0" in chosen(tmp_path, BENCH).read_text()
    assert configs.roll_back()["queued"] == "given"
    assert chosen(tmp_path, BENCH) == BENCH


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("kv = 70.0", "kv = 700.0", "configuration"),
        ("kv = 70.0", "kv = nan", "configuration"),
        ('broker = "off"', 'broker = "external"', "configuration"),
        ('keys = "service-keys"', 'keys = "mine"', "local_only"),
        ('device = "bench-1"', 'device = "bench-2"', "local_only"),
        ("[technique]", "[technique", "configuration"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_key(
    tmp_path: Path, old: str, new: str, code: str
) -> None:
    configs = Configs(tmp_path, BENCH)
    text = BENCH.read_text()
    assert old in text
    with pytest.raises(Refusal) as told:
        configs.propose(text.replace(old, new))
    assert told.value.code == code
    assert configs.report()["proposals"] == []


@pytest.mark.invariant(17)
def test_proposals_are_bounded(tmp_path: Path) -> None:
    configs = Configs(tmp_path, BENCH)
    for number in range(PROPOSALS_MAX + 3):
        configs.propose(BENCH.read_text() + f"# {number}\n")
    assert len(configs.report()["proposals"]) == PROPOSALS_MAX


@pytest.mark.invariant(15)
def test_a_disk_that_fills_leaves_whole_lines_only(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log, replay = AuditLog(tmp_path, 1), ReplayFile(tmp_path, 8)
    taken = Taken(1_000, 10, "d")
    log.write(1, "accepted", {"id": 1})
    replay.keep("emil/1", taken)
    for file in (AUDIT, REPLAY):
        limit = (tmp_path / file).stat().st_size + 10
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(OSError, match=r"space|large"):
                log.write(2, "lost", {}) if file == AUDIT else replay.keep("emil/2", taken)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write(3, "accepted", {"id": 3})
    replay.keep("emil/3", taken)
    log.close()
    replay.close()
    assert verify_audit(tmp_path) == (2, AUDIT, None)
    again = ReplayFile(tmp_path, 8)
    again.close()
    assert list(again.window.ids) == ["emil/1", "emil/3"]
