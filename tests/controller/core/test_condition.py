"""What the supervisor knows before anybody spoke, when it rests, and numbers that never repeat."""

import pytest

from controller.core.condition import (
    EXECUTIVE_AGE_MAX_NS,
    IMAGING_AGE_MAX_NS,
    Core,
    Durable,
    Executive,
    Generator,
    Imaging,
    Run,
)
from controller.core.modes import Mode
from controller.core.technique import from_config, id_of
from realtime.wire.messages import Mode as Function
from tests.controller.core.scene import BENCH, Scene, report

pytestmark = pytest.mark.invariant(12)


def fresh() -> Core:
    return Core(BENCH, 3, from_config(BENCH))


def test_nobody_is_there_until_he_said_so() -> None:
    assert Executive() == Executive(up=False, epoch=0, pid=0, state=None, state_ns=0)
    assert Imaging() == Imaging(up=False, epoch=0, pid=0, state=None, state_ns=0)
    assert Generator() == Generator(
        up=False, ups=0, status=None, prepared_until_ns=0, down_detail="not connected yet"
    )
    assert Durable() == Durable(ok=False, failed_ns=0, copied=0, unread=0, detail="not started yet")
    run = Run(1, Function.FLUORO, 2, Mode.READY, True, 3)
    assert (run.checked_n, run.skipped, run.fired) == (-1, 0, 0)


def test_a_core_begins_in_boot_with_everything_still_to_be_found() -> None:
    core = fresh()
    assert (core.mode, core.faults, core.finding, core.account) == (Mode.BOOT, (), None, None)
    assert core.reconcile_due is True
    nothing = (core.lease, core.committed, core.committing, core.run, core.test, core.proof,
               core.test_token, core.test_gate_before, core.reset_token)  # fmt: skip
    assert nothing == (None,) * 9
    zero = (core.committing_bank, core.bank, core.technique_count, core.order_seq, core.numbers,
            core.tick_ns, core.late_ns, core.reset_sent_ns, core.voided_ns,
            core.session_until_ns)  # fmt: skip
    assert zero == (0,) * 10
    assert core.held_image is False
    assert (core.cine_mode, core.test_goal) == (Function.ONE_SHOT, Mode.STANDBY)
    assert (core.results, core.last_run, core.acknowledged) == ([], {}, {})


def test_how_old_a_report_may_be() -> None:
    assert (EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS) == (300_000_000, 500_000_000)


def test_the_first_beat_is_not_late() -> None:
    core = fresh()
    core.beat(7)
    assert (core.tick_ns, core.late_ns) == (7, 0)
    core.beat(30)
    assert (core.tick_ns, core.late_ns) == (30, 23)


@pytest.mark.parametrize("mode", list(Mode))
def test_it_rests_in_the_modes_in_which_nothing_moves(mode: Mode) -> None:
    core = fresh()
    core.mode = mode
    assert core.at_rest is (mode in (Mode.STANDBY, Mode.READY, Mode.HOLD, Mode.FAULT))


def test_a_reset_or_a_result_in_the_air_is_no_rest() -> None:
    core = fresh()
    core.mode = Mode.READY
    core.reset_token = 0
    assert not core.at_rest
    core.reset_token = None
    core.pairing.fired(report(1, 0, 1), from_config(BENCH), 0)
    assert core.pairing.waiting
    assert not core.at_rest


def test_numbers_and_technique_ids_are_used_once() -> None:
    core = fresh()
    assert [core.next_number() for _ in range(3)] == [1, 2, 3]
    made = [core.numbered(core.wanted).technique_id for _ in range(3)]
    assert made == [id_of(3, n) for n in (1, 2, 3)]
    assert core.technique_count == 3


def test_a_scene_s_core_is_ready_with_what_it_committed() -> None:
    core = Scene().ready().core
    assert core.committed is not None
    assert core.committed.technique_id == core.wanted.technique_id
