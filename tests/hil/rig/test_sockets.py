"""An address is taken, replaced when stale, refused when alive."""

import socket
from pathlib import Path

import pytest

from hil.rig.sockets import AddressTaken, listen_seqpacket, listen_stream


@pytest.mark.parametrize("listen", [listen_seqpacket, listen_stream])
def test_a_live_server_is_not_replaced(tmp_path: Path, listen: object) -> None:
    assert callable(listen)
    first = listen(tmp_path / "s")
    with pytest.raises(AddressTaken, match="in use"):
        listen(tmp_path / "s")
    first.close()
    assert (tmp_path / "s").exists()
    second = listen(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, second.type) as client:
        client.connect(str(tmp_path / "s"))
    second.close()


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        listen_stream(tmp_path / "nowhere" / "s")
