"""The message sockets: who may hold a place, what is refused, and that nothing blocks."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.inputs import Letter, Peer
from realtime.mailroom import LETTERS_PER_TURN_MAX, NEWCOMERS_MAX, Desk, PlaceTaken
from realtime.wire.codec import pack
from realtime.wire.messages import Dark, Hello, Mode, Refused, Reset, RunStart, Topology
from tests.realtime.peers import Correspondent, eventually, seqpacket

OURS = Hello("realtime", 9, 1, 77, "")


@pytest.fixture
def desk(run_dir: Path) -> Iterator[Desk]:
    made = Desk(Peer.SUPERVISOR, run_dir / "orders.sock", OURS)
    yield made
    made.close()


@pytest.fixture
def guests(desk: Desk) -> Iterator[list[Correspondent]]:
    made = [Correspondent(desk.path) for _ in range(3)]
    yield made
    for guest in made:
        guest.close()


def held(desk: Desk, guest: Correspondent, epoch: int = 1) -> list[Letter]:
    guest.hello("supervisor", epoch)
    return desk.collect()


def test_hello_takes_the_place_and_is_answered(desk: Desk, guests: list[Correspondent]) -> None:
    letters = held(desk, guests[0])
    assert letters[0] == Letter(Peer.SUPERVISOR, None, link_up=True)
    assert letters[1].message == Hello("supervisor", 1, 1, 0, "")
    assert letters[1].raw == pack(Hello("supervisor", 1, 1, 0, ""))
    assert guests[0].heard() == [OURS]


@pytest.mark.parametrize("first", [Reset(1), Hello("imaging", 1, 1, 0, ""), b"noise"])
def test_anything_else_first_is_shown_the_door(
    desk: Desk, guests: list[Correspondent], first: Reset | Hello | bytes
) -> None:
    guests[0].say(first)
    assert desk.collect() == []
    assert guests[0].closed()
    assert desk.holder is None


def test_a_guest_who_leaves_without_a_word_is_forgotten(desk: Desk) -> None:
    guest = Correspondent(desk.path)
    desk.collect()
    guest.close()
    assert desk.collect() == []
    assert len(desk.sockets()) == 1


def test_a_silent_guest_waits(desk: Desk, guests: list[Correspondent]) -> None:
    assert desk.collect() == []
    assert not guests[0].closed()
    assert len(desk.sockets()) == 1 + len(guests)


def test_only_so_many_guests_wait_at_a_time(desk: Desk) -> None:
    crowd = [Correspondent(desk.path) for _ in range(NEWCOMERS_MAX + 1)]
    desk.collect()
    assert len(desk.sockets()) == 1 + NEWCOMERS_MAX
    desk.collect()
    assert len(desk.sockets()) == 1 + NEWCOMERS_MAX
    assert crowd[0].closed(), "who has said nothing makes room"
    late = Correspondent(desk.path).hello("supervisor")
    crowd.append(late)
    assert desk.collect()[0].link_up
    with pytest.raises(BlockingIOError):
        desk.server.accept()
    for each in crowd:
        each.close()


def test_letters_come_in_order_with_their_bytes(desk: Desk, guests: list[Correspondent]) -> None:
    held(desk, guests[0])
    sent = [Dark(1, n, "") for n in range(5)]
    for message in sent:
        guests[0].say(message)
    letters = desk.collect()
    assert [letter.message for letter in letters] == sent
    assert [letter.raw for letter in letters] == [pack(message) for message in sent]


def test_a_turn_takes_no_more_than_its_portion(desk: Desk, guests: list[Correspondent]) -> None:
    held(desk, guests[0])
    for n in range(LETTERS_PER_TURN_MAX + 3):
        guests[0].say(Dark(1, n, ""))
    assert len(desk.collect()) == LETTERS_PER_TURN_MAX
    assert len(desk.collect()) == 3


@pytest.mark.parametrize("epoch", [4, 5])
def test_an_older_or_equal_supervisor_is_told_that_the_place_is_taken(
    desk: Desk, guests: list[Correspondent], epoch: int
) -> None:
    held(desk, guests[0], 5)
    assert held(desk, guests[1], epoch) == []
    assert guests[1].heard() == [Refused("hello", "place_taken", "held by epoch 5", 1)]
    assert guests[1].closed()
    guests[0].say(Reset(5))
    assert [letter.message for letter in desk.collect()] == [Reset(5)]


def test_a_newer_supervisor_fences_the_older(desk: Desk, guests: list[Correspondent]) -> None:
    held(desk, guests[0], 5)
    guests[0].say(Reset(5))
    letters = held(desk, guests[1], 6)
    assert [letter.link_up for letter in letters[:2]] == [False, True]
    assert Reset(5) not in [letter.message for letter in letters]
    assert guests[0].closed()
    assert guests[1].heard() == [OURS]


def test_after_the_holder_has_left_its_epoch_may_come_back(
    desk: Desk, guests: list[Correspondent]
) -> None:
    held(desk, guests[0], 5)
    guests[0].close()
    assert desk.collect() == [Letter(Peer.SUPERVISOR, None, link_up=False)]
    assert held(desk, guests[1], 5)[0].link_up


def test_a_malformed_message_is_counted_and_logged_once_and_the_link_stays(
    desk: Desk, guests: list[Correspondent], caplog: pytest.LogCaptureFixture
) -> None:
    held(desk, guests[0])
    for _ in range(4):
        guests[0].say(b"\xc1")
    guests[0].say(b"\x01")
    guests[0].say(Reset(1))
    assert [letter.message for letter in desk.collect()] == [Reset(1)]
    assert desk.malformed == {"msgpack": 4, "name": 1}
    assert len([r for r in caplog.records if "malformed" in r.message]) == 2


def test_an_oversized_message_is_malformed(desk: Desk, guests: list[Correspondent]) -> None:
    held(desk, guests[0])
    guests[0].say(b"\xc0" * 10_000)
    assert desk.collect() == []
    assert desk.malformed == {"length": 1}


def test_a_holder_that_does_not_read_loses_its_place_and_nothing_blocks(
    desk: Desk, guests: list[Correspondent], caplog: pytest.LogCaptureFixture
) -> None:
    held(desk, guests[0])
    start = RunStart(1, Mode.FLUORO, Topology.PANEL_MASTER, 33_333_333, 1, 0)
    for _ in range(100_000):
        desk.post(start)
        if desk.unsent:
            break
    assert desk.unsent == 1
    assert "supervisor does not read" in caplog.text
    assert desk.collect() == [Letter(Peer.SUPERVISOR, None, link_up=False)]
    desk.post(start)
    assert desk.unsent == 1, "nobody holds the place"
    assert held(desk, guests[1])[0].link_up


def test_a_broken_holder_is_a_link_down(desk: Desk, guests: list[Correspondent]) -> None:
    held(desk, guests[0])
    desk.post(OURS)
    desk.post(OURS)
    guests[0].close()
    desk.post(OURS)
    assert desk.collect() == [Letter(Peer.SUPERVISOR, None, link_up=False)]


def test_a_stranger_is_not_admitted(
    desk: Desk, guests: list[Correspondent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.mailroom._CREDENTIALS", Foreign())
    guests[0].hello("supervisor")
    assert desk.collect() == []
    assert guests[0].closed()


class Foreign:
    """Credentials of one user after another; the last one stays."""

    size = 12

    def __init__(self, *users: int) -> None:
        self.users = [4_000_000, *users]

    def unpack(self, raw: bytes) -> tuple[int, int, int]:
        """Process, user, group: 0 is a group of strangers as well."""
        assert len(raw) == self.size
        user = self.users.pop(0) if len(self.users) > 1 else self.users[0]
        return 1, user, 0


@pytest.mark.parametrize("user", [0, 1_000])
def test_root_and_our_own_user_are_admitted_behind_a_stranger(
    desk: Desk, guests: list[Correspondent], monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    monkeypatch.setattr("realtime.mailroom.os.geteuid", lambda: 1_000)
    monkeypatch.setattr("realtime.mailroom._CREDENTIALS", Foreign(user))
    desk.collect()
    assert guests[0].closed()
    assert not guests[1].closed()
    assert len(desk.sockets()) == 3
    for other in (1, 999, 1_001):
        monkeypatch.setattr("realtime.mailroom._CREDENTIALS", Foreign(other))
        strangers = [Correspondent(desk.path) for _ in range(2)]
        desk.collect()
        assert [each.closed() for each in strangers] == [True, True]
        for each in strangers:
            each.close()


def test_what_waits_never_blocks_and_nobody_held_the_place_before(
    desk: Desk, guests: list[Correspondent]
) -> None:
    assert desk.epoch == -1
    held(desk, guests[0])
    assert [each.getblocking() for each in desk.sockets()] == [False] * 4


def test_a_turn_s_portion_and_the_crowd_at_the_door() -> None:
    assert (LETTERS_PER_TURN_MAX, NEWCOMERS_MAX) == (32, 4)


def test_closing_twice_or_without_a_file_is_fine(run_dir: Path) -> None:
    desk = Desk(Peer.IMAGING, run_dir / "v.sock", OURS)
    desk.path.unlink()
    desk.close()
    assert not desk.path.exists()


def test_a_live_socket_is_a_refusal_with_a_remedy(desk: Desk) -> None:
    with pytest.raises(PlaceTaken, match="--run-dir"):
        Desk(Peer.SUPERVISOR, desk.path, OURS)
    assert desk.path.exists()


def test_a_dead_socket_is_replaced(run_dir: Path) -> None:
    path = run_dir / "orders.sock"
    dead = seqpacket()
    dead.bind(str(path))
    dead.close()
    desk = Desk(Peer.SUPERVISOR, path, OURS)
    Correspondent(path).close()
    desk.close()
    assert not path.exists()


def test_the_socket_is_not_for_everybody(desk: Desk) -> None:
    assert stat.S_IMODE(os.stat(desk.path).st_mode) == 0o660


def test_closing_ends_guests_and_holder_and_removes_the_file(run_dir: Path) -> None:
    desk = Desk(Peer.IMAGING, run_dir / "v.sock", OURS)
    holder, guest = Correspondent(desk.path), Correspondent(desk.path)
    holder.hello("imaging")
    desk.collect()
    desk.close()
    assert holder.closed()
    assert guest.closed()
    assert not desk.path.exists()
    holder.close()
    guest.close()


def test_a_refused_newcomer_that_is_gone_already_does_no_harm(
    desk: Desk, guests: list[Correspondent]
) -> None:
    held(desk, guests[0], 5)
    guests[1].hello("supervisor", 1)
    guests[1].close()
    assert desk.collect() == []
    guests[0].say(Reset(5))
    assert [letter.message for letter in desk.collect()] == [Reset(5)]


def test_a_newcomer_that_is_refused_without_reading_does_no_harm(desk: Desk) -> None:
    """The refusal cannot be sent into a full buffer; that is the newcomer's loss."""
    holder = Correspondent(desk.path)
    held(desk, holder, 5)
    deaf = seqpacket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    deaf.connect(str(desk.path))
    deaf.send(pack(Hello("supervisor", 1, 1, 0, "")))
    eventually(lambda: desk.collect() == [], "the desk is quiet")
    assert desk.holder is not None
    deaf.close()
    holder.close()
