"""Invariant 16, shift invariance: other clocks and counters change no beam and no verdict."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from hil.sim.case import run, windows_at
from hil.sim.judging import judge
from tests.sim.bench import scenario

SHIFTS: list[Mapping[str, int]] = [
    {"host_offset_ns": 1 << 8}, {"host_offset_ns": 1 << 16}, {"host_offset_ns": 1 << 32},
    {"host_offset_ns": 1 << 53}, {"host_offset_ns": (1 << 53) + 1}, {"line_seq": (1 << 32) - 60},
    {"pulse_counter": (1 << 8) - 3}, {"pulse_counter": (1 << 16) - 3},
    {"pulse_counter": (1 << 32) - 3}, {"pulse_id": 1 << 32},
]  # fmt: skip


def played(name: str, circumstances: Mapping[str, int]) -> Any:
    found = replace(scenario(name), circumstances=circumstances)
    case = run(found, 1, windows_at(found, 7), keep=True)
    ruling = judge(found, case, lambda: run(found, 1, []))
    beam = [(r.t_ns, r.kind, r.value) for r in case.truth
            if r.kind in ("hv", "line", "window_open", "contact")]  # fmt: skip
    return ruling, beam, list(case.observed.modes), list(case.observed.faults)


@pytest.mark.invariant(16)
@pytest.mark.parametrize("name", ["F08-door", "F29-realtime-killed"])
def test_shifted_worlds_are_the_same_world(name: str) -> None:
    plain = played(name, {})
    assert plain[0].word == "pass"
    for shift in SHIFTS:
        assert played(name, shift) == plain, shift
