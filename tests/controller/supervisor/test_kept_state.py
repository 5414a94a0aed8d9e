"""What a released version has written is read by this one; a sample of each form is kept here.

A sample is never changed.  A version that writes another form adds one and reads both.
"""

from pathlib import Path

import pytest

from controller.core.reconcile import Account
from controller.supervisor.durable import PulseLog
from controller.supervisor.state import StateDir

EPOCHS = {"0.1.0": "41\n"}
LATCHES = {"0.1.0": '{"clean": false, "held": [["self_test", "panel_dark_frame: no frame", 99]]}\n'}
ACCOUNTS = {"0.1.0": '{"counter": 128, "records": 127}\n'}
PULSES = {
    "0.1.0": bytes.fromhex(
        "0300000000000000000000007433f39bdec00101020001000001000000070000000100000000000000"
        "03000000000000000b000000000000000500000000000000de03000000000000e803000000000000"
        "28230000000000009001000000000000c8320000000000004c040000000000009821000000000000"
        "401f0000000000000000000000000000000000a0a79429"
    )
}


@pytest.mark.parametrize("version", EPOCHS)
def test_the_epoch_goes_on(tmp_path: Path, version: str) -> None:
    (tmp_path / "epoch").write_text(EPOCHS[version])
    state = StateDir.claim(tmp_path)
    assert state.epoch == 42
    state.release()


@pytest.mark.parametrize("version", LATCHES)
def test_latches_stay(tmp_path: Path, version: str) -> None:
    (tmp_path / "latches.json").write_text(LATCHES[version])
    state = StateDir.claim(tmp_path)
    held = state.read_latches(7)
    state.release()
    assert [one.id for one in held] == ["self_test", "unclean_restart"]
    assert held[0].detail == "panel_dark_frame: no frame"


def test_a_latch_of_a_newer_version_is_never_less_than_latched(tmp_path: Path) -> None:
    (tmp_path / "latches.json").write_text('{"clean": true, "held": [["fault_of_2031", "", 1]]}')
    state = StateDir.claim(tmp_path)
    assert [one.id for one in state.read_latches(7)] == ["latches_unreadable"]
    state.release()


@pytest.mark.parametrize("version", ACCOUNTS)
def test_the_account_stays(tmp_path: Path, version: str) -> None:
    (tmp_path / "account.json").write_text(ACCOUNTS[version])
    state = StateDir.claim(tmp_path)
    assert state.read_account() == Account(128, 127)
    state.release()


@pytest.mark.parametrize("version", PULSES)
def test_pulses_stay(tmp_path: Path, version: str) -> None:
    path = tmp_path / "pulses.log"
    path.write_bytes(PULSES[version] + PULSES[version][:50])
    log = PulseLog(path)
    log.open()
    try:
        assert (log.lit, log.last_pulse_id, log.cut_bytes) == (1, 1, 50)
    finally:
        log.close()
    assert path.read_bytes() == PULSES[version]
    assert path.with_suffix(".torn").read_bytes() == PULSES[version][:50]
