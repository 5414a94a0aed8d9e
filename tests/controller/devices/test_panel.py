"""The panel port: drivers are found by name."""

from pathlib import Path

import pytest

from controller.devices.panel import PanelLost, find_driver
from controller.devices.ring_panel import RingPanel


def test_our_driver_is_found_by_its_name(tmp_path: Path) -> None:
    panel = find_driver("ring")(tmp_path / "panel.sock")
    assert isinstance(panel, RingPanel)
    assert panel.fileno() == -1


def test_an_unknown_driver_is_refused_with_what_is_there() -> None:
    with pytest.raises(LookupError, match=r"no panel driver 'nope'; installed are .*ring"):
        find_driver("nope")


def test_a_loss_carries_its_code() -> None:
    assert PanelLost("hello", "x").code == "hello"
