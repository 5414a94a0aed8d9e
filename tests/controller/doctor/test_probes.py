"""Each probe sees an effect that is broken while the setting people look at is right."""

import contextlib
import os
import resource
import signal
import socket
import time
from pathlib import Path

import pytest

from controller.doctor import probes
from controller.doctor.table import BY_ID, CHECKS
from tests.plugins.verdict import left_out


@pytest.fixture
def root_rights() -> None:
    if os.geteuid() != 0:
        left_out("needs root")


def judged(id_: str, measured: float | str) -> bool:
    return BY_ID[id_].judge(measured)


def test_every_check_is_within_its_own_limit_and_not_beyond() -> None:
    for check in CHECKS:
        assert check.judge(check.limit)
        if isinstance(check.limit, float):
            worse = check.limit - 0.001 if check.at_least else check.limit + 0.001
            assert not check.judge(worse)
        assert not check.judge("not measured")
        assert check.remedy
        assert set(check.row(check.limit)) == {
            "id", "measured", "limit", "unit", "ok", "blocks_exposure", "remedy",
        }  # fmt: skip


def test_a_disk_that_is_slow_though_it_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judged("pulse_log_sync_ms", probes.sync_ms(tmp_path))
    real = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.25)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    assert judged("free_disk_mb", probes.free_mb(tmp_path, 300.0))
    assert not judged("pulse_log_sync_ms", probes.sync_ms(tmp_path))


def test_a_disk_with_room_that_refuses_large_files(tmp_path: Path) -> None:
    """As under a quota: the file system has room and our file has not."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        told = f"{probes.free_mb(tmp_path, 300.0)}"
        os.write(write, told.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        measured = float(answer.read())
    os.waitpid(pid, 0)
    status = os.statvfs(tmp_path)
    assert status.f_bavail * status.f_frsize > 300e6
    assert not judged("free_disk_mb", measured)


def test_a_folder_that_is_gone_or_read_only_is_told(tmp_path: Path) -> None:
    assert not judged("pulse_log_sync_ms", probes.sync_ms(tmp_path / "gone"))


@pytest.mark.usefixtures("root_rights")
def test_a_folder_with_the_right_mode_behind_a_closed_door(tmp_path: Path) -> None:
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == 0 and path != Path("/") and "pytest" in str(path):
            path.chmod(0o711)
    folder = tmp_path / "door" / "state"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert judged("own_folders", probes.own_folders(12345, 12345, [folder]))
    (tmp_path / "door").chmod(0o700)
    assert folder.stat().st_mode & 0o777 == 0o777
    assert not judged("own_folders", probes.own_folders(12345, 12345, [folder]))


@pytest.mark.usefixtures("root_rights")
def test_a_socket_that_strangers_may_use_in_a_folder_they_cannot_list(tmp_path: Path) -> None:
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == 0 and path != Path("/") and "pytest" in str(path):
            path.chmod(0o711)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.bind(str(tmp_path / "orders.sock"))
        server.listen()
        (tmp_path / "orders.sock").chmod(0o660)
        assert judged("strangers", probes.strangers(tmp_path))
        (tmp_path / "orders.sock").chmod(0o666)
        assert tmp_path.stat().st_mode & 0o777 == 0o711
        assert not judged("strangers", probes.strangers(tmp_path))


def test_pages_in_swap_though_nothing_should_swap(tmp_path: Path) -> None:
    for pid, swapped in ((7, 0), (8, 12)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(f"VmRSS:\t 100 kB\nVmSwap:\t {swapped} kB\n")
    assert judged("swapped_kb", probes.swapped_kb([7, 99], tmp_path))
    assert not judged("swapped_kb", probes.swapped_kb([7, 8], tmp_path))
    assert judged("swapped_kb", probes.swapped_kb([os.getpid()])) is True


def test_a_core_that_wakes_slowly_whatever_its_governor_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rested = [False]
    monkeypatch.setattr(time, "sleep", lambda seconds: rested.__setitem__(0, True))

    def work() -> int:
        cold = rested[0]
        rested[0] = False
        return 3000 if cold else 1000

    monkeypatch.setattr(probes, "_work_ns", work)
    assert not judged("slow_after_idle", probes.slow_after_idle())
    monkeypatch.setattr(probes, "_work_ns", lambda: 1000)
    assert judged("slow_after_idle", probes.slow_after_idle())


def test_a_loop_that_is_held_off_its_core_though_it_is_fifo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """50 ms of every second go missing: RT throttling as it is felt."""
    now = [0]

    def clock() -> int:
        now[0] += 50_000
        if 950_000_000 < now[0] % 1_000_000_000 < 950_060_000:
            now[0] += 50_000_000
        return now[0]

    monkeypatch.setattr(os, "sched_setscheduler", lambda *words: None)
    monkeypatch.setattr(time, "monotonic_ns", clock)
    measured = probes.longest_hold_ms()
    assert isinstance(measured, float)
    assert 50 <= measured < 51
    assert not judged("longest_hold_ms", measured)


def test_fifo_that_is_not_granted_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert not judged("longest_hold_ms", probes.longest_hold_ms())
    assert not judged("kernel_holds_us", probes.kernel_holds_us())


def test_a_neighbour_on_a_core_that_is_reserved(tmp_path: Path) -> None:
    def process(pid: int, state: str, core: int, vsize: int) -> None:
        (tmp_path / str(pid)).mkdir()
        fields = [state, *["0"] * 19, str(vsize), *["0"] * 15, str(core), "0"]
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")

    process(1, "S", 3, 9)
    process(2, "R", 2, 9)
    process(3, "R", 3, 0)
    process(4, "R", 3, 9)
    assert judged("neighbours_on_core", probes.neighbours(3, [4], tmp_path))
    assert not judged("neighbours_on_core", probes.neighbours(3, [], tmp_path))


@pytest.mark.parametrize(
    ("status", "error_us", "ok"), [(0, 20_000, True), (0, 2_000_000, False), (0x40, 10, False)]
)
def test_a_clock_that_is_wrong_though_a_service_runs(
    monkeypatch: pytest.MonkeyPatch, status: int, error_us: int, ok: bool
) -> None:
    monkeypatch.setattr(probes, "kernel_clock", lambda: (status, error_us))
    assert judged("clock_error_ms", probes.clock_error_ms()) is ok


@pytest.mark.parametrize(("held_us", "ok"), [(80.0, True), (900.0, False)])
def test_a_kernel_that_holds_us_whatever_its_name_says(
    monkeypatch: pytest.MonkeyPatch, held_us: float, ok: bool
) -> None:
    """`uname` speaks of PREEMPT_RT; the neighbour's system call is waited for all the same."""
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("", "", "", "#1 PREEMPT_RT", "")))
    monkeypatch.setattr(os, "sched_setscheduler", lambda *words: None)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *words: None)
    monkeypatch.setattr(probes, "_neighbour_in_kernel", lambda core: contextlib.nullcontext())
    now = [0]

    def sleep(seconds: float) -> None:
        now[0] += round(seconds * 1e9 + held_us * 1000)

    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(time, "sleep", sleep)
    measured = probes.kernel_holds_us()
    assert measured == held_us
    assert judged("kernel_holds_us", measured) is ok


def test_one_bad_moment_of_the_machine_is_not_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    latest = iter((3000.0, 70.0, 90.0))
    monkeypatch.setattr(os, "sched_setscheduler", lambda *words: None)
    monkeypatch.setattr(probes, "_neighbour_in_kernel", lambda core: contextlib.nullcontext())
    monkeypatch.setattr(probes, "worst_wake_up_us", lambda turns: next(latest))
    assert probes.kernel_holds_us() == 70.0


def test_a_neighbour_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **more: object) -> None:
        raise BlockingIOError(11, "no process left")

    monkeypatch.setattr(os, "sched_setscheduler", lambda *words: None)
    monkeypatch.setattr(os, "posix_spawn", refuse)
    assert not judged("kernel_holds_us", probes.kernel_holds_us())


@pytest.mark.process
def test_the_kernel_answers_about_its_clock_and_itself() -> None:
    status, error_us = probes.kernel_clock()
    assert status >= 0
    assert error_us >= 0
    before = os.sched_getscheduler(0), os.sched_getaffinity(0)
    held_us = probes.kernel_holds_us()
    assert isinstance(held_us, str) or held_us > 0
    assert (os.sched_getscheduler(0), os.sched_getaffinity(0)) == before
