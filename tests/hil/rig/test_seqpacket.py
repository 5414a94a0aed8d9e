"""Arrivals carry the time at which they were sent, not at which they were read."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from hil.rig import seqpacket
from hil.rig.sockets import listen_seqpacket


def test_the_stamp_lies_between_the_clocks_around_the_send(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = listen_seqpacket(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sender:
        sender.connect(str(path))
        client = seqpacket.accept(server, stamped=True)
        assert client is not None
        with client:
            before_ns = time.monotonic_ns()
            sender.send(b"abc")
            after_ns = time.monotonic_ns()
            while time.monotonic_ns() < after_ns + 3_000_000:
                continue
            datagram, stamp_ns = seqpacket.receive(client, 64)
            assert datagram == b"abc"
            # The two clocks are read one after the other: allow that gap.
            assert before_ns - 200_000 <= stamp_ns <= after_ns + 200_000
            with pytest.raises(BlockingIOError):
                seqpacket.receive(client, 64)
    seqpacket.close(server, path)
    assert not path.exists()


def test_nobody_waiting_is_none(tmp_path: Path) -> None:
    server = listen_seqpacket(tmp_path / "s")
    assert seqpacket.accept(server, stamped=False) is None
    seqpacket.close(server, tmp_path / "s")
