"""Legal truth logs told from physics: who presses when, and what the beam and the panel then do.

Lives here: the synthetic room that the referee's tests start from. It shares nothing with the rig,
so that a mistake in the rig's log is not repeated in the log that proves the referee.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MS = 1_000_000
US = 1_000
Record = dict[str, Any]

PARAMS: dict[str, Any] = {
    "version": 1,
    "topology": "controller_master",
    "window_us": 13_000,
    "readout_us": 18_000,
    "guard_open_us": 300,
    "guard_close_us": 300,
    "width_cap_us": 50_000,
    "spacing_min_us": 30_000,
    "rise_us": 300,
    "capacitance_pf": 150,
    "monostable_us": 12_000,
    "kv": [40.0, 120.0],
    "ma": [1.0, 200.0],
    "ms": [1.0, 50.0],
    "wiring": {"window_gate": True, "chain": True, "preset": True},
}
INTERLOCKS = (
    "estop", "door", "collision", "barrier", "cooling", "key", "generator_ready", "panel_ready",
)  # fmt: skip
CONTACTS = ("fluoro_no", "fluoro_nc", "high_no", "high_nc", "cine_no", "cine_nc")


class Story:
    """A log in the making. Times are ns; every act adds the records the room would write."""

    def __init__(self, start_ns: int = 1_000 * MS, **params: Any) -> None:
        self.params = PARAMS | params
        self.records: list[Record] = []
        self.pulse_id = 0
        self.frame_no = 0
        self.technique: dict[str, Any] = {}
        self.add(start_ns, "process", "rig", self.params)
        for name in CONTACTS:
            self.add(start_ns, "contact", name, int(name.endswith("nc")))
        for name in INTERLOCKS:
            self.add(start_ns, "interlock", name, 1)
        for name in ("permit", "pulse", "bank", "panel_trigger", "tone", "lamp"):
            self.add(start_ns, "line", name, 0)
        self.add(start_ns + MS, "process", "lines", "connected")
        self.commit(start_ns + 2 * MS, 1)

    def add(self, t_ns: int, kind: str, name: str, value: Any, pulse_id: int = 0) -> Record:
        record: Record = {"t_ns": t_ns, "kind": kind, "name": name, "value": value}
        if pulse_id:
            record["pulse_id"] = pulse_id
        self.records.append(record)
        return record

    def commit(self, t_ns: int, technique_id: int, **changed: Any) -> None:
        """Write bank 0."""
        values = {"kv": 70.0, "ma": 40.0, "set_us": 8_000, "filter": "3Al+0.1Cu"}
        self.technique = {"technique_id": technique_id, **values, **changed}
        self.add(t_ns, "process", "bank0", dict(self.technique))

    def press(self, t_ns: int, pedal: str = "fluoro") -> None:
        """NC opens first, NO closes 1 ms later: pressed from `t_ns`."""
        self.add(t_ns - MS, "contact", f"{pedal}_nc", 0)
        self.add(t_ns, "contact", f"{pedal}_no", 1)

    def release(self, t_ns: int, pedal: str = "fluoro") -> None:
        """NO opens first: released from `t_ns`."""
        self.add(t_ns, "contact", f"{pedal}_no", 0)
        self.add(t_ns + MS, "contact", f"{pedal}_nc", 1)

    def pulse(
        self, on_ns: int, hv_us: float | None = None, *, valid: bool = True, rise: bool = True
    ) -> int:
        """One pulse in its window with its frame; `hv_us` cuts it short. Returns its id."""
        self.pulse_id += 1
        self.frame_no += 1
        full_us = self.technique["set_us"] + self.params["rise_us"]
        lasts_us = full_us if hv_us is None else hv_us
        tail_us = 150 * self.technique["kv"] / self.technique["ma"]
        opened_ns = on_ns - 400 * US
        closed_ns = opened_ns + self.params["window_us"] * US
        off_ns = on_ns + int(lasts_us * US)
        dark_ns = off_ns + int(tail_us * US)
        self._window(opened_ns, closed_ns)
        for number in range(7):
            self.add(on_ns + (3 * number - 8) * MS, "line", "permit", (number + 1) % 2)
        if rise:
            self.add(on_ns, "line", "pulse", 1)
        self._beam(on_ns, off_ns, dark_ns, lasts_us, tail_us)
        if rise:
            self.add(min(off_ns + MS, closed_ns), "line", "pulse", 0)
        self._frame(opened_ns, closed_ns, valid)
        return self.pulse_id

    def _window(self, opened_ns: int, closed_ns: int) -> None:
        self.add(opened_ns, "window_open", "panel", self.frame_no)
        self.add(closed_ns, "window_close", "panel", self.frame_no)

    def _beam(self, on_ns: int, off_ns: int, dark_ns: int, hv_us: float, tail_us: float) -> None:
        width_us = max(0.0, hv_us - self.params["rise_us"])
        number = self.pulse_id
        self.add(on_ns, "hv", "generator", 1, number)
        self.add(on_ns, "photons_on", "tube", {**self.technique, "bank": 0}, number)
        self.add(off_ns, "hv", "generator", 0, number)
        value = {
            "mas": self.technique["ma"] * hv_us / 1e6, "width_us": width_us, "tail_us": tail_us
        }  # fmt: skip
        self.add(dark_ns, "photons_off", "tube", value, number)

    def _frame(self, opened_ns: int, closed_ns: int, valid: bool) -> None:
        value = {
            "frame_no": self.frame_no,
            "integration_open_ns": opened_ns,
            "integration_close_ns": closed_ns,
            "pulse_ids": [self.pulse_id],
            "technique_ids": [self.technique["technique_id"]],
            "after_idle": False,
            "valid": valid,
            "reason": "" if valid else "missing",
        }
        self.add(closed_ns + self.params["readout_us"] * US, "frame", "panel", value)

    def train(self, first_ns: int, count: int, period_ns: int = 66_666_667) -> list[int]:
        """`count` pulses at even spacing; returns their starts."""
        starts = [first_ns + k * period_ns for k in range(count)]
        for start_ns in starts:
            self.pulse(start_ns)
        return starts

    def lines(self) -> list[str]:
        """The log, in the order of stamps, equal stamps in the order of telling."""
        told = sorted(self.records, key=lambda record: int(record["t_ns"]))
        return [json.dumps(record) for record in told]

    def write(self, path: Path) -> Path:
        """The log as a file."""
        path.write_text("\n".join(self.lines()) + "\n")
        return path


def exam() -> Story:
    """A good log in which every one of the invariants 1–8 is exercised.

    Fluoroscopy released in mid-pulse; cine alone; a second pedal under fluoroscopy; a door opened
    in mid-pulse; a press under the open door; a last press after it.
    """
    story = Story()
    story.press(2_000 * MS)
    starts = story.train(2_200 * MS, 8)
    story.release(starts[-1] + 100 * MS)
    story.press(4_000 * MS)
    last_ns = story.train(4_200 * MS, 3)[-1] + 67 * MS
    story.pulse(last_ns, 3_200)
    story.release(last_ns + 3 * MS)
    story.press(6_000 * MS, "cine")
    story.train(6_200 * MS, 4, 40 * MS)
    story.press(6_210 * MS, "high")
    story.release(6_400 * MS, "high")
    story.release(6_500 * MS, "cine")
    story.press(8_000 * MS)
    story.train(8_200 * MS, 2)
    story.pulse(8_400 * MS, 4_000)
    story.add(8_403 * MS, "interlock", "door", 0)
    story.release(8_600 * MS)
    story.press(9_000 * MS)
    story.release(9_500 * MS)
    story.add(9_600 * MS, "interlock", "door", 1)
    story.press(10_000 * MS)
    story.train(10_200 * MS, 5)
    story.release(10_600 * MS)
    story.add(12_000 * MS, "line", "lamp", 0)
    return story


def long_exam() -> Story:
    """The same, then six minutes with the lamp on, then realtime ends in a pulse and comes back."""
    story = exam()
    story.press(20_000 * MS)
    story.add(20_100 * MS, "line", "lamp", 1)
    story.train(20_200 * MS, 3)
    story.add(320_100 * MS, "line", "tone", 1)
    story.add(322_100 * MS, "line", "tone", 0)
    on_ns = story.train(380_000 * MS, 1)[0]
    story.add(on_ns + MS, "process", "realtime", "kill9")
    story.release(381_000 * MS)
    story.add(381_100 * MS, "line", "lamp", 0)
    story.add(382_000 * MS, "process", "realtime", "started")
    story.press(383_000 * MS)
    story.train(383_100 * MS, 2)
    story.release(383_400 * MS)
    story.add(384_000 * MS, "line", "bank", 0)
    return story
