"""Doctors: each takes a good log and breaks exactly one invariant, grossly or by a hair.

Lives here: edits of a told story, and the table of cases. May not live here: what the referee does.
Every case has a number, a name, an edit, and whether the edited log is still legal ("just inside").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.hil.referee.story import MS, US, Record, Story, exam

Doctor = Callable[[Story], None]


class Case(NamedTuple):
    """One doctored log."""

    n: int
    name: str
    doctor: Doctor
    legal: bool = False


def find(story: Story, kind: str, **wanted: Any) -> list[Record]:
    """Records of a kind whose keys hold the wanted values."""
    return [
        record
        for record in story.records
        if record["kind"] == kind and all(record.get(k) == v for k, v in wanted.items())
    ]


def move(story: Story, kind: str, number: int, to_ns: int, **wanted: Any) -> None:
    """Move one record in time."""
    find(story, kind, **wanted)[number]["t_ns"] = to_ns


# 1 ── dead-man ──────────────────────────────────────────────────────────────────────────────────


def _last_release_ns(story: Story) -> int:
    return int(find(story, "contact", name="fluoro_no", value=0)[-1]["t_ns"])


def pulse_after_release(after_ns: int, hv_us: float | None = None) -> Doctor:
    def doctor(story: Story) -> None:
        released_ns = _last_release_ns(story)
        story.pulse(released_ns + after_ns, hv_us)

    return doctor


def hv_after_release(after_ns: int) -> Doctor:
    """A 10.2 ms pulse, allowed by its 9 ms technique, ends `after_ns` after the release."""

    def doctor(story: Story) -> None:
        story.commit(11_000 * MS, 2, set_us=9_000)
        story.press(11_200 * MS)
        story.release(12_000 * MS)
        story.pulse(12_000 * MS + after_ns - 10_200 * US, 10_200)

    return doctor


# 2 ── fresh edge ────────────────────────────────────────────────────────────────────────────────


def reset_while_held(story: Story) -> None:
    story.add(4_050 * MS, "contact", "reset", 1)


def press_at_boot(story: Story) -> None:
    held = exam().records[0]["t_ns"]
    find(story, "contact", name="fluoro_no", value=0)[0]["value"] = 1
    find(story, "contact", name="fluoro_nc", value=1)[0]["value"] = 0
    for record in find(story, "contact", name="fluoro_no", value=1)[1:2]:
        record["t_ns"] = held
    for record in find(story, "contact", name="fluoro_nc", value=0)[1:2]:
        record["t_ns"] = held


def press_after_reset(up_ns: int) -> Doctor:
    def doctor(story: Story) -> None:
        story.add(12_500 * MS, "contact", "reset", 1)
        story.press(12_500 * MS + up_ns)
        story.train(12_700 * MS, 2)
        story.release(13_000 * MS)

    return doctor


def door_closes_under_the_pedal(story: Story) -> None:
    move(story, "interlock", -1, 8_450 * MS, name="door")
    story.train(8_500 * MS, 1)


# 3 ── interlocks ────────────────────────────────────────────────────────────────────────────────


def beam_under_open(name: str) -> Doctor:
    def doctor(story: Story) -> None:
        story.add(2_100 * MS, "interlock", name, 0)
        story.add(3_000 * MS, "interlock", name, 1)

    return doctor


def door_opens_before_end(before_ns: int) -> Doctor:
    def doctor(story: Story) -> None:
        move(story, "interlock", -2, 8_404 * MS - before_ns, name="door")

    return doctor


def stale_reading(story: Story) -> None:
    story.add(2_150 * MS, "fault_on", "F10", {})
    story.add(2_800 * MS, "fault_off", "F10", None)


# 4 ── one function ──────────────────────────────────────────────────────────────────────────────


def cine_released(at_ns: int) -> Doctor:
    """High-level is held from 6210 to 6400 ms; pulses start at 6200, 6240, 6280, 6320 ms."""

    def doctor(story: Story) -> None:
        move(story, "contact", -1, at_ns, name="cine_no", value=0)

    return doctor


# 5 ── pulse bounds ──────────────────────────────────────────────────────────────────────────────


def pulse_of_width(width_us: float) -> Doctor:
    def doctor(story: Story) -> None:
        story.press(13_000 * MS)
        story.pulse(13_200 * MS, width_us + 300)
        story.release(13_300 * MS)

    return doctor


def two_in_one_trigger(story: Story) -> None:
    story.press(13_000 * MS)
    story.pulse(13_200 * MS)
    story.pulse(13_300 * MS, rise=False)
    story.release(13_400 * MS)


def spaced(spacing_ns: int) -> Doctor:
    def doctor(story: Story) -> None:
        story.press(13_000 * MS)
        story.train(13_200 * MS, 2, spacing_ns)
        story.release(13_400 * MS)

    return doctor


# 6 ── technique ─────────────────────────────────────────────────────────────────────────────────


def latched(pulse: int, **changed: Any) -> Doctor:
    def doctor(story: Story) -> None:
        find(story, "photons_on")[pulse]["value"].update(changed)

    return doctor


def commits(technique_id: int, **changed: Any) -> Doctor:
    def doctor(story: Story) -> None:
        story.commit(12_500 * MS, technique_id, **changed)
        story.press(13_000 * MS)
        story.train(13_200 * MS, 2)
        story.release(13_400 * MS)

    return doctor


def bank_half_written(story: Story) -> None:
    story.add(4_100 * MS, "process", "bank0", None)
    story.add(5_000 * MS, "process", "bank0", dict(story.technique))


def bank_written_in_pulse(story: Story) -> None:
    story.add(4_202 * MS, "process", "bank0", dict(story.technique))


def frame_of_other_technique(story: Story) -> None:
    find(story, "frame")[6]["value"]["technique_ids"] = [7]


# 7 ── window ────────────────────────────────────────────────────────────────────────────────────


def window_shuts(after_dark_ns: int) -> Doctor:
    def doctor(story: Story) -> None:
        dark_ns = find(story, "photons_off")[3]["t_ns"]
        find(story, "window_close")[3]["t_ns"] = dark_ns + after_dark_ns

    return doctor


def window_opens(before_on_ns: int) -> Doctor:
    def doctor(story: Story) -> None:
        on_ns = find(story, "photons_on")[3]["t_ns"]
        find(story, "window_open")[3]["t_ns"] = on_ns - before_on_ns

    return doctor


# 8 ── images ────────────────────────────────────────────────────────────────────────────────────


def frame_vanishes(story: Story) -> None:
    story.records.remove(find(story, "frame")[4])


def frames_spoiled(count: int) -> Doctor:
    def doctor(story: Story) -> None:
        for record in find(story, "frame")[2 : 2 + count]:
            record["value"].update(valid=False, reason="missing")

    return doctor


def pulse_in_two_frames(story: Story) -> None:
    find(story, "frame")[4]["value"]["pulse_ids"] = [4, 5]
    find(story, "frame")[4]["value"]["technique_ids"] = [1, 1]


CASES = (
    Case(1, "beam long after the release", pulse_after_release(500 * MS)),
    Case(1, "start 10.001 ms after the release", pulse_after_release(10 * MS + US)),
    Case(1, "start 10 ms after the release", pulse_after_release(10 * MS), True),
    Case(1, "drives 20.001 ms after the release", hv_after_release(20 * MS + US)),
    Case(1, "drives 20 ms after the release", hv_after_release(20 * MS), True),
    Case(2, "reset under a held pedal", reset_while_held),
    Case(2, "pedal held at boot", press_at_boot),
    Case(2, "door closes under a held pedal", door_closes_under_the_pedal),
    Case(2, "up for 49.999 ms after a reset", press_after_reset(50 * MS - US)),
    Case(2, "up for 50 ms after a reset", press_after_reset(50 * MS), True),
    Case(3, "beam under an open door", beam_under_open("door")),
    Case(3, "beam under missing cooling", beam_under_open("cooling")),
    Case(3, "beam on stale readings", stale_reading),
    Case(3, "drives 10.001 ms after the door", door_opens_before_end(10 * MS + US)),
    Case(3, "drives 10 ms after the door", door_opens_before_end(10 * MS), True),
    Case(4, "high-level takes over from cine", cine_released(6_250 * MS)),
    Case(4, "taken over after 10.001 ms", cine_released(6_310 * MS - US)),
    Case(4, "last pulse 10 ms after its pedal", cine_released(6_310 * MS), True),
    Case(5, "11.2 ms for a set 8 ms", pulse_of_width(11_200)),
    Case(5, "9.801 ms for a set 8 ms", pulse_of_width(9_801)),
    Case(5, "9.8 ms for a set 8 ms", pulse_of_width(9_800), True),
    Case(5, "two pulses in one trigger", two_in_one_trigger),
    Case(5, "spacing 29.999 ms", spaced(30 * MS - US)),
    Case(5, "spacing 30 ms", spaced(30 * MS), True),
    Case(6, "an id that nobody committed", latched(5, technique_id=99)),
    Case(6, "0.1 kV beside the committed value", latched(5, kv=70.1)),
    Case(6, "bank half written", bank_half_written),
    Case(6, "bank written in its pulse", bank_written_in_pulse),
    Case(6, "an id that means two things", commits(1, kv=80.0)),
    Case(6, "frame carries another id", frame_of_other_technique),
    Case(6, "120.001 kV of at most 120", commits(2, kv=120.001)),
    Case(6, "120 kV of at most 120", commits(2, kv=120.0), True),
    Case(7, "window shuts in mid-pulse", window_shuts(-4 * MS)),
    Case(7, "closing guard 299 µs", window_shuts(299 * US)),
    Case(7, "closing guard 300 µs", window_shuts(300 * US), True),
    Case(7, "opening guard 299 µs", window_opens(299 * US)),
    Case(7, "opening guard 300 µs", window_opens(300 * US), True),
    Case(8, "a frame vanishes", frame_vanishes),
    Case(8, "a pulse in two frames", pulse_in_two_frames),
    Case(8, "3 pulses without a valid frame", frames_spoiled(3)),
    Case(8, "2 pulses without a valid frame", frames_spoiled(2), True),
)
