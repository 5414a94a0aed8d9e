"""Truth beside the black box and the recorded stream: what agrees holds, each lie is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from hil.referee.commands import run_referee
from realtime.wire.record import Record, RecordKind, RecordState
from tests.hil.referee.story import MS, US, Story, exam
from tests.realtime.wire.test_recordfile import image_of

Header = dict[str, Any]


def pulses_of(story: Story) -> list[tuple[int, int]]:
    """(start, technique id) of every pulse of the story."""
    found = [r for r in story.records if r["kind"] == "photons_on"]
    return sorted((r["t_ns"], r["value"]["technique_id"]) for r in found)


def records_of(story: Story) -> list[Record]:
    return [
        Record(
            RecordKind.PULSE, RecordState.CLOSED, 0, 0, 0, 0, n, technique_id, n + 1, 3, n, 1,
            t_ns - 20 * US, t_ns - 10 * US, t_ns + 9 * MS, 0, 0, t_ns + US, t_ns + 8 * MS, 8_000,
        )
        for n, (t_ns, technique_id) in enumerate(pulses_of(story))
    ]  # fmt: skip


def headers_of(story: Story) -> list[Header]:
    return [
        {"schema": "carm.frame/1", "seq": n, "pulse_id": n, "technique_id": technique_id,
         "exposure_start_ns": t_ns - 10 * US, "exposure_end_ns": t_ns + 9 * MS, "resend": False}
        for n, (t_ns, technique_id) in enumerate(pulses_of(story))
    ]  # fmt: skip


def crossed(
    tmp_path: Path, records: list[Record] | None = None, headers: list[Header] | None = None
) -> tuple[dict[str, str], int]:
    """Status by id, and the exit code, of the exam beside the given files."""
    truth = exam().write(tmp_path / "truth.jsonl")
    box, frames = tmp_path / "box", tmp_path / "frames.jsonl"
    if records is not None:
        box.write_bytes(image_of(records))
    if headers is not None:
        frames.write_text("".join(json.dumps(header) + "\n" for header in headers))
    verdict, code = run_referee(
        truth, box if records is not None else None, frames if headers is not None else None
    )
    return {row["id"]: row["status"] for row in verdict["crosschecks"]}, code


def test_agreement_holds(tmp_path: Path) -> None:
    told, code = crossed(tmp_path, records_of(exam()), headers_of(exam()))
    assert set(told.values()) == {"holds"}
    assert (len(told), code) == (5, 0)


def test_without_files_there_is_nothing_to_cross(tmp_path: Path) -> None:
    assert crossed(tmp_path) == ({}, 0)


@pytest.mark.invariant(10)
def test_a_pulse_without_a_record(tmp_path: Path) -> None:
    records = records_of(exam())
    del records[-1]
    told, code = crossed(tmp_path, records)
    assert (told["recorded_is_emitted"], code) == ("violated", 1)


def test_a_record_that_claims_x_rays_that_never_were(tmp_path: Path) -> None:
    records = records_of(exam())
    ghost = records[-1]._replace(start_ns=3_000 * MS, end_ns=3_009 * MS, xray_on_ns=3_001 * MS)
    told, code = crossed(tmp_path, [*records, ghost._replace(run_id=99)])
    assert (told["recorded_is_emitted"], code) == ("violated", 1)


STRAY = Record(RecordKind.STRAY, RecordState.CLOSED, 0, 0, 5, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
               0, 0, 0)  # fmt: skip


@pytest.mark.invariant(10)
@pytest.mark.parametrize("later_ns", [500 * US, 4 * MS])
def test_one_emission_with_two_records_is_one_too_many(tmp_path: Path, later_ns: int) -> None:
    pulse = records_of(exam())[-1]
    stray = STRAY._replace(xray_on_ns=pulse.start_ns + later_ns)
    told, code = crossed(tmp_path, [*records_of(exam()), stray])
    assert (told["recorded_is_emitted"], code) == ("violated", 1)


@pytest.mark.parametrize(("later_ns", "apart"), [(-MS, 0), (500 * US, 1), (MS, 1), (4 * MS, 0)])
def test_x_rays_that_the_rig_told_late_are_set_apart(
    tmp_path: Path, later_ns: int, apart: int
) -> None:
    story = exam()
    pulse = records_of(story)[-1]
    told_ns = pulse.start_ns + MS
    story.add(told_ns, "process", "edge_late", 800 * US)
    box = tmp_path / "box"
    late = STRAY._replace(xray_on_ns=pulse.start_ns + later_ns)
    box.write_bytes(image_of([*records_of(story), late]))
    verdict, code = run_referee(story.write(tmp_path / "truth.jsonl"), box)
    row = next(row for row in verdict["crosschecks"] if row["id"] == "recorded_is_emitted")
    assert (row["set_apart"], row["violations"], code) == (apart, 1 - apart, 1 - apart)


def test_a_pulse_that_was_asked_for_and_never_shone_is_no_lie(tmp_path: Path) -> None:
    records = records_of(exam())
    dark = records[-1]._replace(start_ns=3_000 * MS, end_ns=3_009 * MS, xray_on_ns=0, run_id=99)
    told, code = crossed(tmp_path, [*records, dark])
    assert (told["recorded_is_emitted"], code) == ("holds", 0)


def test_another_technique_in_the_record(tmp_path: Path) -> None:
    records = records_of(exam())
    records[3] = records[3]._replace(technique_id=2)
    told, code = crossed(tmp_path, records)
    assert told == {
        "recorded_is_emitted": "holds", "blackbox_technique": "violated",
        "one_mode_per_run": "holds",
    }  # fmt: skip
    assert code == 1


@pytest.mark.parametrize(("mode", "pulse_n"), [(3, 5), (0, 40)])
def test_a_run_that_changes_its_mode_or_leaps(mode: int, pulse_n: int, tmp_path: Path) -> None:
    records = records_of(exam())
    records[5] = records[5]._replace(mode=mode, pulse_n=pulse_n)
    assert crossed(tmp_path, records)[0]["one_mode_per_run"] == "violated"


@pytest.mark.invariant(9)
def test_a_frame_missing_without_a_loss_record(tmp_path: Path) -> None:
    headers = headers_of(exam())
    gone = headers.pop(4)
    told, code = crossed(tmp_path, headers=headers)
    assert (told["frames_account"], code) == ("violated", 1)
    loss = {"schema": "carm.loss/1", "pulse_id": gone["pulse_id"], "reason": "missing"}
    assert crossed(tmp_path, headers=[*headers, loss]) == (
        {"frames_account": "holds", "frame_technique": "holds"}, 0
    )  # fmt: skip


def test_a_resent_frame_counts_once(tmp_path: Path) -> None:
    headers = headers_of(exam())
    again = {**headers[-1], "resend": True}
    assert crossed(tmp_path, headers=[*headers, again])[1] == 0


@pytest.mark.invariant(9)
def test_a_frame_with_another_technique(tmp_path: Path) -> None:
    headers = headers_of(exam())
    headers[2]["technique_id"] = 44
    told, code = crossed(tmp_path, headers=headers)
    assert (told["frames_account"], told["frame_technique"], code) == ("holds", "violated", 1)


@pytest.mark.parametrize("option", ["blackbox", "frames"])
@pytest.mark.parametrize("content", [None, b"", b"\xff{}", b"{}\n", b"[1]\n"])
def test_a_file_that_is_neither_is_refused(
    option: str, content: bytes | None, tmp_path: Path
) -> None:
    truth = exam().write(tmp_path / "truth.jsonl")
    path = tmp_path / "other"
    if content is not None:
        path.write_bytes(content)
    refusal, code = run_referee(truth, **{option: path})
    if option == "frames" and content == b"":
        assert code == 1, "an empty recording accounts for no pulse"
    else:
        assert (code, refusal["error"]["file"]) == (2, str(path))
