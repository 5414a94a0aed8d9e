"""The world's end of the room bus: it comes back, and every question ends."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.rig import roomlink
from hil.rig.roombus import Hello, pack, unpack
from hil.rig.roomlink import RoomLink
from hil.rig.sockets import listen_seqpacket
from hil.room.commands import Prepare, Reply
from hil.room.records import GateCount


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[RoomLink, socket.socket]]:
    server = listen_seqpacket(tmp_path / "room.sock")
    link = RoomLink(tmp_path / "room.sock")
    assert link.connect(0)
    line, _ = server.accept()
    yield link, line
    link.close()
    line.close()
    server.close()


def test_connecting_backs_off_and_succeeds_later(tmp_path: Path) -> None:
    link = RoomLink(tmp_path / "room.sock")
    assert not link.connect(0)
    assert not link.send(Hello(1))
    assert link.ask(lambda n: Prepare(n, True)) is None
    server = listen_seqpacket(tmp_path / "room.sock")
    assert not link.connect(roomlink.BACKOFF_NS[0] - 1)
    assert link.connect(roomlink.BACKOFF_NS[0])
    assert not link.connect(1 << 60)
    link.close()
    server.close()


def test_a_question_gets_its_own_answer(pair: tuple[RoomLink, socket.socket]) -> None:
    link, line = pair
    answers: list[Reply | None] = []
    asking = threading.Thread(target=lambda: answers.append(link.ask(lambda n: Prepare(n, True))))
    asking.start()
    line.settimeout(5)
    asked = unpack(line.recv(4096))
    assert isinstance(asked, Prepare)
    line.send(pack(Reply(asked.request_id + 1, False, 0, "other", "")))
    line.send(pack(GateCount(1, 2)))
    line.send(pack(Reply(asked.request_id, True, 9, "", "")))
    heard = []
    until = time.monotonic() + 5
    while asking.is_alive() and time.monotonic() < until:
        heard += link.receive()
    asking.join()
    assert answers == [Reply(asked.request_id, True, 9, "", "")]
    assert heard == [GateCount(1, 2)]


def test_nobody_waits_for_ever(
    pair: tuple[RoomLink, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    link, _ = pair
    monkeypatch.setattr(roomlink, "ASK_TIMEOUT_S", 0.05)
    assert link.ask(lambda n: Prepare(n, True)) is None


def test_closing_ends_a_question(pair: tuple[RoomLink, socket.socket]) -> None:
    link, line = pair
    answers: list[Reply | None] = []
    asking = threading.Thread(target=lambda: answers.append(link.ask(lambda n: Prepare(n, True))))
    start = time.monotonic()
    asking.start()
    line.settimeout(5)
    line.recv(4096)
    link.close()
    asking.join()
    assert answers == [None]
    assert time.monotonic() - start < roomlink.ASK_TIMEOUT_S


def test_nonsense_is_counted_and_the_end_is_an_error(
    pair: tuple[RoomLink, socket.socket],
) -> None:
    link, line = pair
    line.send(b"\xc1")
    line.send(pack(GateCount(1, 2)))
    assert link.receive() == [GateCount(1, 2)]
    assert link.malformed == 1
    line.close()
    with pytest.raises(ConnectionResetError):
        link.receive()


def test_tell_does_not_wait(pair: tuple[RoomLink, socket.socket]) -> None:
    link, line = pair
    link.tell(lambda n: Prepare(n, False))
    line.settimeout(5)
    assert unpack(line.recv(4096)) == Prepare(1, False)
