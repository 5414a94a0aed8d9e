"""Preflight: effects are measured, and each can fail with a remedy."""

import gc
import os
import time
from pathlib import Path

import pytest

from realtime import preflight
from realtime.preflight import Check, checks


def by_id(results: list[Check]) -> dict[str, Check]:
    return {check.id: check for check in results}


def test_every_check_measures_and_names_a_remedy(tmp_path: Path) -> None:
    results = checks(tmp_path)
    assert set(by_id(results)) == {
        "fifo", "memory_locked_kb", "wake_up_late_us", "run_dir_file_system",
    }  # fmt: skip
    assert all(check.remedy and check.limit for check in results)
    wake = by_id(results)["wake_up_late_us"]
    assert isinstance(wake.measured, float)
    assert wake.measured > 0


def test_this_test_run_is_not_real_time(tmp_path: Path) -> None:
    fifo = by_id(checks(tmp_path))["fifo"]
    assert (fifo.measured, fifo.ok) == ("other", False)


@pytest.mark.parametrize(("policy", "ok"), [(os.SCHED_FIFO, True), (os.SCHED_RR, False)])
def test_only_fifo_is_fifo(monkeypatch: pytest.MonkeyPatch, policy: int, ok: bool) -> None:
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: policy)
    assert preflight._fifo().ok is ok


@pytest.mark.parametrize(("late_ns", "ok"), [(2_000_000, True), (2_000_001, False)])
def test_a_late_wake_up_is_seen(monkeypatch: pytest.MonkeyPatch, late_ns: int, ok: bool) -> None:
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += round(seconds * 1e9) + late_ns

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    check = preflight._wake_up()
    assert check.ok is ok
    assert check.measured == late_ns / 1000


def test_the_file_system_is_the_longest_mount_above() -> None:
    assert preflight._tmpfs(Path("/dev/shm")).measured in ("tmpfs", "ramfs", "overlay")
    assert preflight._tmpfs(Path("/proc")).measured == "proc"
    assert not preflight._tmpfs(Path("/proc")).ok


def test_locked_memory_is_read_from_the_kernel() -> None:
    check = preflight._locked()
    assert isinstance(check.measured, int)
    assert check.ok is (check.measured > 0)


def test_freezing_stops_the_collector() -> None:
    try:
        preflight.freeze()
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()
