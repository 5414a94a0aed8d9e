"""The subscriber: its account by examples, its report, and that it needs nothing of ours."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from controller.stream import account as account_module
from controller.stream import subscriber as module
from controller.stream.account import EPOCHS_MAX, Account
from controller.stream.subscriber import Subscriber, percentile, to_grey, write_png


def counters(settled: int, published: int, **missing: int) -> dict[str, Any]:
    return {"pulses": settled, "settled": settled, "published": published, "missing": missing,
            "ranges": [], "ranges_left_off": 0, "seq_first": 1}  # fmt: skip


def header(**fields: Any) -> dict[str, Any]:
    return {"epoch": 9, "device": "c", "series": "s", "run_id": 5, "resend": False,
            **fields}  # fmt: skip


def live(seq: int, **fields: Any) -> dict[str, Any]:
    return header(**{"seq": seq, "counters": counters(seq, seq), **fields})


def tail(seq_last: int, **fields: Any) -> dict[str, Any]:
    return header(**{"seq_last": seq_last, "final": True,
                     "counters": counters(seq_last, seq_last), **fields})  # fmt: skip


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(node.module or "")
    return names


def test_it_imports_nothing_of_this_project_but_its_own_account() -> None:
    names = imported(Path(module.__file__)) | imported(Path(account_module.__file__))
    roots = {name.partition(".")[0] for name in names - {"controller.stream.account"}}
    allowed = {"__future__", "dataclasses", "pathlib", "time", "typing", "zlib"}
    assert roots - allowed == {"msgpack", "numpy", "PIL", "zmq"}


def test_nothing_heard_is_nothing_claimed() -> None:
    told = Account().statement()
    assert (told["received"], told["lost"], told["epoch"]) == (0, 0, None)
    assert not told["tail_complete"]


def test_gaps_in_the_middle_and_at_the_end_are_named() -> None:
    account = Account()
    account.take("series", header(seq_first=1))
    for seq in (2, 3, 6):
        assert account.take("live", live(seq))
    account.take("tail", tail(8))
    told = account.statement()
    assert told["lost_ranges"] == [[9, 1, 1], [9, 4, 5], [9, 7, 8]]
    assert told["lost"] == 5
    assert told["tail_complete"]


def test_a_frame_twice_counts_once() -> None:
    account = Account()
    assert account.take("live", live(1))
    assert not account.take("live", live(1, resend=True))
    assert account.received == 1


def test_hold_loss_and_amend_are_no_frames() -> None:
    account = Account()
    for topic in ("hold", "loss", "amend"):
        assert not account.take(topic, header())
    assert account.received == 0
    assert account.other == {"hold": 1, "loss": 1, "amend": 1}


def test_an_older_header_sent_again_does_not_turn_the_counters_back() -> None:
    account = Account()
    account.take("live", live(2, counters=counters(5, 2, torn=3)))
    account.take("live", live(1, counters=counters(1, 1), resend=True))
    assert account.missing_by_reason() == {"torn": 3}


def test_a_tail_that_is_not_final_or_does_not_add_up_proves_nothing() -> None:
    account = Account()
    account.take("tail", tail(1, final=False))
    assert not account.tail_complete
    account.take("tail", tail(1, counters=counters(3, 1, torn=1)))
    assert not account.tail_complete
    account.take("tail", tail(1, counters=counters(3, 1, torn=2)))
    assert account.tail_complete
    account.take("live", live(2))
    assert not account.tail_complete


def test_a_new_epoch_has_numbers_of_its_own() -> None:
    account = Account()
    account.take("live", live(7))
    account.take("live", live(9))
    account.take("live", live(1, epoch=10))
    account.take("live", live(3, epoch=10))
    assert account.lost_ranges() == [[9, 8, 8], [10, 2, 2]]
    assert account.statement()["epochs"] == 2
    assert account.epoch == 10


def test_epochs_are_bounded() -> None:
    account = Account()
    for epoch in range(2 * EPOCHS_MAX):
        account.take("live", live(1, epoch=epoch))
    assert len(account.epochs) == EPOCHS_MAX


def test_percentiles() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_silence_ends_at_its_time_and_a_bad_endpoint_is_refused() -> None:
    listening = Subscriber("inproc://nobody-here")
    report = listening.collect(1, timeout_s=0.01, tail_s=0.01)
    listening.close()
    assert report["received"] == 0
    assert report["latency_ms"] == {"n": 0, "p50": None, "p99": None, "max": None}
    with pytest.raises(ValueError, match="give ipc"):
        Subscriber("nonsense")


def test_a_png_is_the_frame_through_its_window(tmp_path: Path) -> None:
    pixels = np.tile(np.arange(100, 1700, 25, dtype="<u2"), (64, 1))
    about = {"dtype": "<u2", "shape": [64, 64], "window_du": [100.0, 1675.0],
             "kind": "hold", "series": "s", "seq": 3}  # fmt: skip
    grey = to_grey(about, pixels.tobytes())
    assert grey[0, 0] == 0
    assert grey[0, -1] >= 254
    assert (np.diff(grey[0].astype(int)) > 0).all()
    write_png(tmp_path / "f.png", about, pixels.tobytes())
    with Image.open(tmp_path / "f.png") as picture:
        assert picture.size == (64, 64)
        assert "hold" in picture.info["Title"]
