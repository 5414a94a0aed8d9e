"""Leaving out idle turns changes no event in the room and no order of events."""

from dataclasses import replace

import pytest

from hil.room.records import TruthRecord
from hil.sim import beam_process, supervisor_process, world
from hil.sim.case import run, windows_at
from realtime.limits import TURN_MAX_NS
from tests.sim.bench import scenario

# One for each condition that only time can bring about.
STORIES = [
    "F05", "F07", "F08-door", "F10", "F13", "F15-untriggered", "F21", "F22-missing", "F38-lamp",
    "F29-supervisor-stopped", "F31-orders-lost", "F46-chain",
]  # fmt: skip


# Where a turn waits for no instant of its own it comes at the loop's pace, whose phase may differ.
APART_NS = TURN_MAX_NS


def said(record: TruthRecord) -> tuple[str, str, str, int]:
    value = record.value
    if isinstance(value, dict):
        # Stamps and charges inside follow the stamps of the records.
        value = {
            key: item for key, item in value.items() if not key.endswith(("_ns", "mas", "_us"))
        }
    return (record.kind, record.name, str(value), record.pulse_id)


@pytest.mark.parametrize("name", STORIES)
def test_truth_is_the_same_with_and_without_idle_turns(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Reports that are left out draw no delays: without chance in paces and sockets the worlds
    # must agree in every event and in their order.
    for bounds in ("WAKE_NS", "TURN_COST_NS", "SEND_NS", "SPIN_NS", "SLEEP_NS"):
        monkeypatch.setattr(beam_process, bounds, (0, 0))
    monkeypatch.setattr(supervisor_process, "STEP_COST_NS", (0, 0))
    monkeypatch.setattr(world, "SOCKET_NS", (70_000, 70_000))
    # An operator looks every 5 ms and acts on what is seen then: that is not the subject here.
    found = replace(scenario(name), recovers=False)
    windows = windows_at(found, 7)
    skipping = run(found, 1, windows, keep=True)
    turning = run(found, 1, windows, keep=True, skips_idle=False)
    assert [said(record) for record in skipping.truth] == [said(r) for r in turning.truth]
    pairs = zip(skipping.truth, turning.truth, strict=True)
    assert max(abs(one.t_ns - other.t_ns) for one, other in pairs) <= APART_NS
    assert len(skipping.truth) > 60
