"""A link of the supervisor: hello first, read by the loop itself, told when it is over."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from controller.supervisor.links import Link
from realtime.wire.codec import pack
from realtime.wire.messages import Hello, Message, Reset

OURS = Hello("supervisor", 1, 2, 3, "")
THEIRS = Hello("realtime", 4, 5, 0, "")
RESET = Reset(7)
Play = Callable[[socket.socket], Any]


class Broken(Exception):
    """What a bug of ours raises."""


class Party:
    """One link, the other end of its connection, and what it told."""

    def __init__(self, broken: bool = False) -> None:
        self.told: list[Any] = []
        self.broken = broken
        self.link = Link("realtime", self.told.append, self._take, self.told.append,
                         self.told.append)  # fmt: skip

    def _take(self, message: Message) -> None:
        if self.broken:
            raise Broken
        self.told.append(message)

    async def _converse(self, play: Play) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        running = asyncio.create_task(self.link.converse(ours, OURS))
        await asyncio.sleep(0)
        assert self.link.connected
        play(theirs)
        try:
            await asyncio.wait_for(running, 5)
        finally:
            theirs.close()
            assert not self.link.connected

    def played(self, play: Play) -> list[Any]:
        asyncio.run(self._converse(play))
        return self.told


def say(theirs: socket.socket, *messages: Message | bytes) -> None:
    for message in messages:
        theirs.send(message if isinstance(message, bytes) else pack(message))


def test_hello_then_messages_then_the_end() -> None:
    def play(theirs: socket.socket) -> None:
        say(theirs, THEIRS, RESET, RESET)
        theirs.shutdown(socket.SHUT_WR)

    assert Party().played(play) == [THEIRS, RESET, RESET, "the connection closed"]


def test_who_does_not_say_hello_first_is_left_without_a_word() -> None:
    assert Party().played(lambda theirs: say(theirs, RESET)) == []
    assert Party().played(lambda theirs: say(theirs, Hello("imaging", 1, 1, 0, ""))) == []


def test_what_is_malformed_is_counted_and_the_rest_is_read() -> None:
    def play(theirs: socket.socket) -> None:
        say(theirs, b"rubbish", THEIRS, b"rubbish", RESET)
        theirs.shutdown(socket.SHUT_WR)

    party = Party()
    assert party.played(play) == [THEIRS, RESET, "the connection closed"]
    assert sum(party.link.malformed.values()) == 2


def test_a_partner_that_goes_with_our_words_unread_is_lost() -> None:
    def play(theirs: socket.socket) -> None:
        say(theirs, THEIRS)
        theirs.close()

    assert Party().played(play) == []


def test_an_exception_of_ours_is_told_while_the_connection_stands() -> None:
    party = Party(broken=True)
    with pytest.raises(Broken):
        party.played(lambda theirs: say(theirs, THEIRS, RESET, RESET))
    hello, error, over = party.told
    assert (hello, over) == (THEIRS, "the connection closed")
    assert isinstance(error, Broken)


def test_news_that_is_not_there_after_all_is_no_end() -> None:
    async def look() -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        Party().link._news(ours, over)
        ours.close()
        theirs.close()
        return over.done()

    assert not asyncio.run(look())
