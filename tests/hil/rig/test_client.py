"""The client: a rig that goes away in the middle is an error, never a guess."""

import threading
from pathlib import Path

import pytest

from hil.rig.client import RigClient, RigError
from hil.rig.sockets import listen_stream


@pytest.mark.parametrize("reply", [b"", b'{"ok": tr'])
def test_a_reply_that_is_cut_is_an_error(tmp_path: Path, reply: bytes) -> None:
    server = listen_stream(tmp_path / "rig.sock")
    server.setblocking(True)

    def serve() -> None:
        visitor, _ = server.accept()
        visitor.recv(100)
        visitor.sendall(reply)
        visitor.close()

    serving = threading.Thread(target=serve)
    serving.start()
    with RigClient(tmp_path / "rig.sock") as rig, pytest.raises(ConnectionResetError):
        rig.status()
    serving.join()
    server.close()


def test_an_error_says_what_is_allowed() -> None:
    error = RigError({"code": "value", "key": "phase", "value": 2, "allowed": "0 … 1"})
    assert str(error) == "value: phase = 2, allowed is 0 … 1"
