"""Leaving out idle turns changes no event in the room."""

from collections import defaultdict
from dataclasses import replace

import pytest

from controller.core.order import TICK_NS
from hil.room.commands import Action
from hil.room.records import TruthRecord
from hil.sim import beam_process, supervisor_process, world
from hil.sim.case import run, windows_at
from realtime.limits import MS, REST_TURN_NS, STATE_REST_PERIOD_NS
from realtime.wire.lines import In, mask
from tests.sim.bench import examination, scenario

# One for each condition that only time can bring about.
STORIES = [
    ("F05", 7), ("F07", 7), ("F08-door", 7), ("F10", 3), ("F10", 7), ("F13", 7),
    ("F15-untriggered", 7), ("F21", 7), ("F22-missing", 7), ("F26-stopped", 7), ("F38-lamp", 7),
    ("F29-supervisor-stopped", 7), ("F31-orders-lost", 7), ("F31-verdicts-lost", 7),
    ("F46-chain", 7),
]  # fmt: skip


# Where a turn waits for no instant of its own it comes at the loop's pace, whose phase may differ;
# what it reports is then acted on one beat of the supervisor earlier or later, and two lines that
# move within that may change places.
APART_NS = REST_TURN_NS + TICK_NS


def said(record: TruthRecord) -> tuple[str, int]:
    value = record.value
    if isinstance(value, dict):
        # Stamps and charges inside follow the stamps of the records.
        value = {
            key: item for key, item in value.items() if not key.endswith(("_ns", "mas", "_us"))
        }
    return (str(value), record.pulse_id)


def series(truth: list[TruthRecord]) -> dict[tuple[str, str], list[TruthRecord]]:
    by_line = defaultdict(list)
    for record in truth:
        by_line[record.kind, record.name].append(record)
    return dict(by_line)


@pytest.mark.parametrize(("name", "step"), STORIES)
def test_truth_is_the_same_with_and_without_idle_turns(
    monkeypatch: pytest.MonkeyPatch, name: str, step: int
) -> None:
    # Reports that are left out draw no delays: without chance in paces and sockets the worlds
    # must agree in every event.
    for bounds in ("WAKE_NS", "TURN_COST_NS", "SEND_NS", "SPIN_NS", "SLEEP_NS", "REST_NS"):
        monkeypatch.setattr(beam_process, bounds, (0, 0))
    monkeypatch.setattr(supervisor_process, "STEP_COST_NS", (0, 0))
    monkeypatch.setattr(world, "SOCKET_NS", (70_000, 70_000))
    # An operator looks every 5 ms and acts on what is seen then: that is not the subject here.
    found = replace(scenario(name), recovers=False)
    windows = windows_at(found, step)
    skipping = run(found, 1, windows, keep=True)
    turning = run(found, 1, windows, keep=True, skips_idle=False)
    one, other = series(skipping.truth), series(turning.truth)
    assert one.keys() == other.keys()
    for line, records in one.items():
        assert [said(record) for record in records] == [said(each) for each in other[line]]
        pairs = zip(records, other[line], strict=True)
        assert max(abs(a.t_ns - b.t_ns) for a, b in pairs) <= APART_NS
    assert len(skipping.truth) > 60


@pytest.mark.parametrize("after_ms", range(5, 100, 10))
def test_a_contact_that_moves_at_rest_is_reported_at_any_phase_of_the_reports(
    after_ms: int,
) -> None:
    made, _ = examination(1)
    made.command(Action(0, "estop", -1.0, ""))
    made.run_until(made.clockwork.now_ns + after_ms * MS)
    # The trip stays, so nothing but the level tells that it is closed again.
    made.command(Action(0, "reset estop", -1.0, ""))
    made.run_until(made.clockwork.now_ns + STATE_REST_PERIOD_NS + APART_NS)
    state = made.supervisor.core.executive.state
    assert state is not None
    assert state.trips == ["interlock_estop"]
    assert state.lines_in & mask(In.ESTOP)


def test_records_are_copied_by_a_supervisor_that_was_stopped_meanwhile() -> None:
    made, _ = examination(1)
    supervisor = made.supervisor
    supervisor.storage_fails = True
    supervisor.box_grew()
    made.run_until(made.clockwork.now_ns + 200 * MS)
    assert not supervisor.core.durable.ok
    supervisor.stop()
    supervisor.storage_fails = False
    supervisor.box_grew()
    made.run_until(made.clockwork.now_ns + 200 * MS)
    assert not supervisor.core.durable.ok
    supervisor.cont()
    made.run_until(made.clockwork.now_ns + 200 * MS)
    assert supervisor.core.durable.ok


@pytest.mark.parametrize("wire", ["imaging", "reports"])
def test_a_state_that_is_lost_is_followed_by_the_next_one(wire: str) -> None:
    made, _ = examination(1)
    made.kill("supervisor")
    made.wire(wire).lose = 1
    made.restart("supervisor")
    made.run_until(made.clockwork.now_ns + 600 * MS)
    core = made.supervisor.core
    assert made.wire(wire).lost == 1
    assert core.imaging.state is not None
    assert core.executive.state is not None
