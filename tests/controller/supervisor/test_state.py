"""The state directory: one owner, rising epochs, latches that are whole or not there."""

import json
from pathlib import Path

import pytest

from controller.core.faults import Held
from controller.core.reconcile import Account
from controller.core.refusal import Blame, Refusal
from controller.supervisor.state import StateDir, write_whole

HELD = (Held("no_image", "two in a row", 5), Held("executive_lost", "", 6))


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir.claim(tmp_path / "state")
    made.release()
    return made


def test_epochs_rise_and_the_second_owner_is_refused(tmp_path: Path) -> None:
    first = StateDir.claim(tmp_path)
    with pytest.raises(Refusal) as caught:
        StateDir.claim(tmp_path)
    assert (caught.value.code, caught.value.blame) == ("second_supervisor", Blame.MACHINE)
    first.release()
    second = StateDir.claim(tmp_path)
    second.release()
    assert (first.epoch, second.epoch) == (1, 2)


def test_an_epoch_that_cannot_be_read_is_refused_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text("many\n")
    with pytest.raises(Refusal, match="epoch_unreadable"):
        StateDir.claim(tmp_path)


def test_a_new_machine_has_no_latches(state: StateDir) -> None:
    assert state.read_latches(1) == ()
    assert state.read_account() is None


def test_latches_come_back_in_order(state: StateDir) -> None:
    state.write_latches(HELD, clean=True)
    assert state.read_latches(9) == HELD


def test_an_unclean_end_adds_its_own_latch_once(state: StateDir) -> None:
    state.write_latches(HELD, clean=False)
    held = state.read_latches(9)
    assert [one.id for one in held] == ["no_image", "executive_lost", "unclean_restart"]
    state.write_latches(held, clean=False)
    assert len(state.read_latches(9)) == 3


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", '{"clean": true}', '{"clean": 1, "held": []}',
        '{"clean": true, "held": [["no_such_fault", "", 1]]}',
        '{"clean": true, "held": [["no_image", 3, 1]]}', '{"clean": true, "held": [[1]]}',
        '{"clean": true, "held": [["no_image", "", true]]}', '{"held": 5, "clean": true}',
    ],
)  # fmt: skip
def test_a_damaged_file_is_a_latch_not_a_guess(state: StateDir, text: str) -> None:
    (state.path / "latches.json").write_text(text)
    assert [one.id for one in state.read_latches(9)] == ["latches_unreadable"]


def test_the_account_is_kept(state: StateDir) -> None:
    state.write_account(Account(4711, 12))
    assert state.read_account() == Account(4711, 12)
    (state.path / "account.json").write_text("{}")
    assert state.read_account() is None


def test_a_write_leaves_the_old_or_the_new_content(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_whole(path, "old")
    (tmp_path / "x.json.new").write_text("a crash left this")
    assert path.read_text() == "old"
    write_whole(path, json.dumps({"new": 1}))
    assert json.loads(path.read_text()) == {"new": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["x.json"]
