"""The chain's relay follows its coil after its delays, and not after a bounce."""

from __future__ import annotations

from hil.room.chain import Chain
from hil.room.records import NEVER


def closed() -> Chain:
    chain = Chain(8, 5)
    chain.feed(0, True)
    chain.advance(8)
    assert chain.ok
    return chain


def test_it_picks_up_after_its_delay() -> None:
    chain = Chain(8, 5)
    chain.feed(10, True)
    assert chain.next_ns() == 18
    chain.advance(17)
    assert not chain.ok
    chain.advance(18)
    assert chain.ok
    assert chain.next_ns() == NEVER


def test_it_drops_out_after_its_delay() -> None:
    chain = closed()
    chain.feed(20, False)
    chain.advance(24)
    assert chain.ok
    chain.advance(25)
    assert not chain.ok


def test_an_interruption_shorter_than_the_drop_out_does_not_open_it() -> None:
    chain = closed()
    chain.feed(20, False)
    chain.feed(24, True)
    chain.advance(100)
    assert chain.ok


def test_the_same_level_again_does_not_start_the_delay_anew() -> None:
    chain = closed()
    chain.feed(20, False)
    chain.feed(23, False)
    assert chain.next_ns() == 25


def test_a_welded_contact_stays_closed() -> None:
    chain = Chain(8, 5)
    chain.stuck = True
    assert chain.ok
    assert not chain.contact
