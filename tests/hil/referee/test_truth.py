"""Reading the log: order, limits, and a line number for everything that is not a record."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.referee.commands import run_referee
from hil.referee.truth import LINE_BYTES_MAX, REORDER_NS, TruthError, ordered, parse
from tests.hil.referee.story import PARAMS, exam

GOOD: dict[str, Any] = {"t_ns": 5, "kind": "line", "name": "pulse", "value": 1}

FRAME: dict[str, Any] = {
    "frame_no": 1, "integration_open_ns": 1, "integration_close_ns": 2, "pulse_ids": [],
    "technique_ids": [], "valid": True,
}  # fmt: skip


def line(**changed: Any) -> str:
    return json.dumps({**GOOD, **changed})


def test_a_record() -> None:
    record = parse(line(pulse_id=9), 3)
    assert (record.t_ns, record.kind, record.name, record.value) == (5, "line", "pulse", 1)
    assert (record.pulse_id, record.line) == (9, 3)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "json"),
        ("[]", "json"),
        ('{"t_ns": 5', "json"),
        (line(t_ns=float("nan")), "json"),
        (line(extra=1), "keys"),
        ('{"t_ns": 5, "kind": "line", "name": "pulse"}', "keys"),
        (line(t_ns=-1), "value"),
        (line(t_ns=1.5), "value"),
        (line(t_ns=True), "value"),
        (line(kind="photon"), "kind"),
        (line(kind=["line"]), "kind"),
        (line(name=4), "value"),
        (line(value=2), "value"),
        (line(value=True), "value"),
        (line(value="1"), "value"),
        (line(kind="hv", name="generator"), "pulse_id"),
        (line(pulse_id=-4), "pulse_id"),
        (line(pulse_id="4"), "pulse_id"),
        (line(kind="photons_on", value={"technique_id": 1}, pulse_id=1), "value"),
        (line(kind="photons_off", value=3, pulse_id=1), "value"),
        (line(kind="window_open", name="panel", value="x"), "value"),
        (line(kind="frame", name="panel", value={}), "value"),
        (line(kind="process", name="rig", value={"version": 1}), "value"),
        (line(kind="frame", name="panel", value=FRAME | {"pulse_ids": [[1]]}), "value"),
        (line(kind="process", name="rig", value=PARAMS | {"kv": [40]}), "value"),
        (line(kind="process", name="rig", value=PARAMS | {"kv": ["a", "b"]}), "value"),
        (line(kind="process", name="lateness", value=2.5), "value"),
        (line(kind="process", name="edge_late", value=None), "value"),
        (line(name="x" * LINE_BYTES_MAX), "length"),
    ],
)
def test_what_is_no_record_is_refused_with_its_line(text: str, code: str) -> None:
    with pytest.raises(TruthError) as refused:
        list(ordered([line(), text]))
    assert (refused.value.line, refused.value.code) == (2, code)


@given(st.lists(st.integers(0, REORDER_NS), max_size=60))
def test_records_come_by_stamp_and_equal_stamps_in_file_order(stamps: list[int]) -> None:
    records = list(ordered(line(t_ns=t_ns) for t_ns in stamps))
    assert [(r.t_ns, r.line) for r in records] == sorted(
        (t_ns, number) for number, t_ns in enumerate(stamps, start=1)
    )


def test_a_record_further_out_than_a_second_is_refused() -> None:
    kept = [line(t_ns=2 * REORDER_NS), line(t_ns=REORDER_NS)]
    assert [record.t_ns for record in ordered(kept)] == [REORDER_NS, 2 * REORDER_NS]
    with pytest.raises(TruthError) as refused:
        list(ordered([line(t_ns=2 * REORDER_NS), line(t_ns=REORDER_NS - 1)]))
    assert refused.value.code == "order"


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty"), (b"\xff\xfe\n", "utf-8"), ((line() + "\n").encode(), "header")],
)
def test_a_file_that_is_no_log_is_refused(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "truth.jsonl"
    path.write_bytes(content)
    refusal, exit_code = run_referee(path)
    assert (exit_code, refusal["error"]["code"]) == (2, code)
    assert refusal["error"]["file"] == str(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refusal, exit_code = run_referee(tmp_path / "none.jsonl")
    assert (exit_code, refusal["error"]["blame"]) == (2, "input")


@settings(deadline=None)
@given(st.integers(0, 300), st.sampled_from(["cut", "swap", "byte"]), st.integers(0, 60))
def test_a_spoiled_log_is_refused_or_judged_and_never_crashes(
    tmp_path_factory: pytest.TempPathFactory, number: int, how: str, column: int
) -> None:
    lines = exam().lines()
    number %= len(lines)
    text = lines[number]
    if how == "cut":
        lines[number] = text[:column]
    elif how == "byte":
        lines[number] = text[:column] + "\x00" + text[column + 1 :]
    else:
        lines[number], lines[-1] = lines[-1], text
    path = tmp_path_factory.mktemp("spoiled") / "truth.jsonl"
    path.write_text("\n".join(lines))
    verdict, code = run_referee(path)
    assert (code == 2) == ("error" in verdict)
    assert code == 2 or verdict["records"] == len(lines)
