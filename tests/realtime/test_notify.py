"""READY and the watchdog: fed by progress of every task, and by nothing else."""

import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.notify import FEEDINGS_PER_PERIOD, Watchdog

S = 1_000_000_000
PERIOD_NS = S // FEEDINGS_PER_PERIOD


class Service:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(address)

    def told(self) -> list[str]:
        words = []
        while True:
            try:
                words.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return words


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(str(tmp_path / "notify"))
    yield service
    service.socket.close()


def watchdog(tmp_path: Path, tasks: dict[str, int], **more: str) -> Watchdog:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000", **more}
    return Watchdog(tasks, environ)


def test_ready_is_told_when_every_task_has_run_once(tmp_path: Path, service: Service) -> None:
    dog = watchdog(tmp_path, {"step": 0, "mail": 0})
    dog.turn(0, (1, 0))
    assert service.told() == []
    dog.turn(1, (2, 1))
    assert service.told() == ["READY=1\nWATCHDOG=1"]
    assert dog.ready
    dog.stopping()
    assert service.told() == ["STOPPING=1"]


@pytest.mark.parametrize("ill", [0, 1, 2])
def test_a_stall_of_one_task_alone_starves_it(tmp_path: Path, service: Service, ill: int) -> None:
    dog = watchdog(tmp_path, {"lines": 0, "step": 0, "mail": 0})
    counts = [1, 1, 1]
    dog.turn(0, counts)
    for n in range(1, 40):
        counts = [count + (task != ill) for task, count in enumerate(counts)]
        dog.turn(n * PERIOD_NS, counts)
    name = ("lines", "step", "mail")[ill]
    assert service.told() == ["READY=1\nWATCHDOG=1", f"STATUS=not fed: {name} does not move"]
    counts[ill] += 1
    dog.turn(40 * PERIOD_NS, counts)
    assert service.told() == ["WATCHDOG=1"]
    dog.stopping()


def test_it_feeds_some_times_a_period_and_not_more(tmp_path: Path, service: Service) -> None:
    dog = watchdog(tmp_path, {"step": 0})
    told = []
    for n in range(1000 * FEEDINGS_PER_PERIOD + 1):
        dog.turn(n * PERIOD_NS // 1000, (n + 1,))
        told += service.told()
    assert told == ["READY=1\nWATCHDOG=1", *["WATCHDOG=1"] * FEEDINGS_PER_PERIOD]
    dog.stopping()


def test_patience_is_per_task_and_ends(tmp_path: Path, service: Service) -> None:
    dog = watchdog(tmp_path, {"step": 0, "disk": 4 * PERIOD_NS})
    for n in range(10):
        dog.turn(n * PERIOD_NS, (n + 1, 1))
    told = service.told()
    assert told[:2] == ["READY=1\nWATCHDOG=1", "WATCHDOG=1"]
    assert told.count("WATCHDOG=1") == 4
    assert told[-1] == "STATUS=not fed: disk does not move"
    dog.stopping()


def test_a_full_socket_is_tried_again(tmp_path: Path, service: Service) -> None:
    dog = watchdog(tmp_path, {"step": 0})
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    other.connect(str(tmp_path / "notify"))
    while select.select([], [other], [], 0)[1]:
        other.send(b"noise")
    dog.turn(0, (1,))
    assert not dog.ready
    service.told()
    dog.turn(1, (1,))
    assert service.told() == ["READY=1\nWATCHDOG=1"]
    other.close()
    dog.stopping()


def test_an_abstract_socket_and_a_foreign_watchdog(tmp_path: Path) -> None:
    name = f"carm-test-{os.getpid()}"
    service = Service("\0" + name)
    dog = watchdog(tmp_path, {"step": 0}, NOTIFY_SOCKET=f"@{name}", WATCHDOG_PID="1")
    for n in range(3):
        dog.turn(n * PERIOD_NS, (n + 1,))
    assert service.told() == ["READY=1\nWATCHDOG=1"]
    dog.stopping()
    service.socket.close()


@pytest.mark.parametrize("address", ["", "/nowhere/notify"])
def test_without_a_notify_socket_nothing_happens(address: str) -> None:
    dog = Watchdog({"step": 0}, {"NOTIFY_SOCKET": address})
    dog.turn(0, (1,))
    dog.stopping()
    assert not dog.ready
