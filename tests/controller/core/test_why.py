"""Why it is dark: one condition at a time, with its value and what it stands in the way of."""

from collections.abc import Callable
from typing import Any

import pytest

from controller.core.condition import EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS, Proof
from controller.core.events import GeneratorStatus
from controller.core.faults import Held
from controller.core.modes import Mode
from controller.core.why import Blocks, partners, proven, reasons, standing
from realtime.wire.lines import In
from tests.controller.core.scene import MS, RESTING, Scene, imaging_state, state

pytestmark = pytest.mark.invariant(12)

RESET, TEST, READY = Blocks.RESET, Blocks.TEST, Blocks.READY
PRESS, RENEW = Blocks.PRESS, Blocks.RENEW
ARMING = TEST | READY | PRESS | RENEW
EVERYTHING = ARMING | RESET
Spoil = Callable[[Scene], Any]


def line(**changes: Any) -> Spoil:
    return lambda s: setattr(s.core.executive, "state", state(s.now_ns, **changes))


def opened(bit: In) -> Spoil:
    return line(lines_in=RESTING & ~(1 << bit))


def pictures(**changes: Any) -> Spoil:
    return lambda s: setattr(s.core.imaging, "state", imaging_state(s.now_ns, **changes))


def of(part: str, name: str, value: Any) -> Spoil:
    return lambda s: setattr(getattr(s.core, part) if part else s.core, name, value)


def age(part: str, ns: int) -> Spoil:
    return lambda s: setattr(getattr(s.core, part), "state_ns", s.now_ns - ns)


def held(*ids: str) -> Spoil:
    return of("", "faults", tuple(Held(id_, f"detail of {id_}", 1) for id_ in ids))


def found(spoil: Spoil) -> dict[str, tuple[Any, Blocks]]:
    """Code → (value, what it blocks) of a READY machine spoilt in one thing."""
    scene = Scene().ready()
    spoil(scene)
    return {r.code: (r.value, r.blocks) for r in reasons(scene.core, scene.now_ns)}


NOTHING: dict[str, tuple[Any, Blocks]] = {"no_press": ("READY", Blocks(0))}
UNPROVEN = {"self_test_not_passed": ("READY", PRESS)}


def test_a_ready_machine_waits_for_a_press_only() -> None:
    assert found(lambda scene: None) == NOTHING


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (held("self_test"), {"fault_self_test": ("detail of self_test", ARMING)}),
        (held("imaging_lost"), {"fault_imaging_lost": ("detail of imaging_lost", PRESS | RENEW)}),
        (held("record_repaired"), {}),
        (of("executive", "up", False), {"executive_not_connected": (False, EVERYTHING)}),
        (of("executive", "state", None), {"executive_not_connected": (False, EVERYTHING)}),
        (age("executive", EXECUTIVE_AGE_MAX_NS), {}),
        (age("executive", EXECUTIVE_AGE_MAX_NS + MS - 1), {}),
        (age("executive", EXECUTIVE_AGE_MAX_NS + MS), {"executive_silent": (301, EVERYTHING)}),
        (line(trips=["stall", "run_max"]),
         {"trip_stall": (True, ARMING), "trip_run_max": (True, ARMING)}),
        (line(link=False), {"lines_not_fresh": (False, EVERYTHING)}),
        (opened(In.ESTOP), {"interlock_estop": ("open", EVERYTHING)}),
        (opened(In.COLLISION), {"interlock_collision": ("open", EVERYTHING)}),
        (opened(In.BARRIER), {"interlock_barrier": ("open", EVERYTHING)}),
        (opened(In.DOOR), {"interlock_door": ("open", READY | PRESS | RENEW)}),
        (opened(In.COOLING), {"interlock_cooling": ("open", READY | PRESS | RENEW)}),
        (opened(In.KEY), {"interlock_key": ("open", READY | PRESS | RENEW)}),
        (opened(In.GENERATOR_READY), {"interlock_generator_ready": ("open", ARMING)}),
        (opened(In.PANEL_READY), {"interlock_panel_ready": ("open", ARMING)}),
        (opened(In.FLUORO_NC), {"pedal_down": (True, RESET | TEST | READY)}),
        (line(lines_in=RESTING | 1 << In.CINE_NO), {"pedal_down": (True, RESET | TEST | READY)}),
        (line(lines_in=RESTING | 1 << In.WINDOW | 1 << In.RESET), {}),
        (line(inhibits=["lamp", "pedals_not_released", "exercise_running", "lines_not_fresh"]),
         {"inhibit_lamp": (True, READY | PRESS)}),
        (line(lines_in=RESTING & ~(1 << In.DOOR), inhibits=["interlock_door"]),
         {"interlock_door": ("open", READY | PRESS | RENEW)}),
        (line(inhibits=["interlock_key"]), {"inhibit_interlock_key": (True, READY | PRESS)}),
        (of("imaging", "up", False), {"imaging_not_connected": (False, ARMING)}),
        (of("imaging", "state", None), {"imaging_not_connected": (False, ARMING)}),
        (age("imaging", IMAGING_AGE_MAX_NS), {}),
        (age("imaging", IMAGING_AGE_MAX_NS + MS - 1), {}),
        (age("imaging", IMAGING_AGE_MAX_NS + MS), {"imaging_silent": (501, ARMING)}),
        (pictures(panel_link=False), {"panel_not_connected": (False, ARMING)}),
        (pictures(executive_link=False), {"verdicts_not_connected": (False, ARMING)}),
        (of("generator", "status", None), {"generator_not_connected": ("not connected yet",
                                                                       EVERYTHING)}),
        (of("generator", "up", False), {"generator_not_connected": ("not connected yet",
                                                                    EVERYTHING)}),
        (of("generator", "status", GeneratorStatus(3, True, True, 18, 0)),
         {"generator_faults": ("0x12", ARMING)}),
        (of("", "finding", None), {"records_not_reconciled": (False, TEST | READY | PRESS)}),
        (of("durable", "ok", False), {"record_not_durable": ("", READY | PRESS)}),
        (line(black_box_unread=16_384), {}),
        (line(black_box_unread=16_385), {"black_box_half_full": (16_385, PRESS)}),
        (of("", "proof", None), UNPROVEN),
        (of("", "proof", Proof(6, 1)), UNPROVEN),
        (of("", "proof", Proof(7, 2)), UNPROVEN),
        (of("", "proof", Proof(7, 1)), {}),
        (lambda s: setattr(s.core, "session_until_ns", s.now_ns), {}),
        (lambda s: setattr(s.core, "session_until_ns", s.now_ns + 1),
         {"service_session_open": ("0 s left", READY | PRESS)}),
        (lambda s: setattr(s.core, "session_until_ns", s.now_ns + 59_999 * MS),
         {"service_session_open": ("59 s left", READY | PRESS)}),
        (lambda s: setattr(s.core, "session_until_ns", s.now_ns + 14_400_000 * MS),
         {"service_session_open": ("14400 s left", READY | PRESS)}),
        (lambda s: setattr(s.core, "session_until_ns", s.now_ns + 14_400_000 * MS - 1),
         {"service_session_open": ("14399 s left", READY | PRESS)}),
    ],
)  # fmt: skip
def test_one_thing_that_is_not_as_it_should(
    spoil: Spoil, wanted: dict[str, tuple[Any, Blocks]]
) -> None:
    assert found(spoil) == wanted | NOTHING


def test_a_technique_that_is_not_the_committed_one_is_told_and_blocks_nothing() -> None:
    scene = Scene().ready()
    core = scene.core
    core.wanted = core.numbered(core.wanted)
    for committed in (core.committed, None):
        core.committed = committed
        told = {r.code: (r.value, r.blocks) for r in reasons(core, scene.now_ns)}
        assert told["technique_not_committed"] == (core.wanted.technique_id, Blocks(0))


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        (Mode.BOOT, "not_ready"), (Mode.SELF_TEST, "not_ready"), (Mode.STANDBY, "not_ready"),
        (Mode.READY, "no_press"), (Mode.HOLD, "no_press"), (Mode.PREP, "preparing"),
        (Mode.EXPOSING, ""), (Mode.FAULT, ""), (Mode.SHUTDOWN, ""),
    ],
)  # fmt: skip
def test_each_mode_says_what_it_waits_for(mode: Mode, code: str) -> None:
    told = found(of("", "mode", mode))
    assert told == ({code: (mode.value, Blocks(0))} if code else {})


def test_a_missing_realtime_hides_what_it_last_said() -> None:
    """Its lines are not known any more: neither open nor closed."""
    scene = Scene().ready()
    line(lines_in=0, trips=["stall"], inhibits=["lamp"], link=False)(scene)
    scene.core.executive.up = False
    codes = [r.code for r in reasons(scene.core, scene.now_ns)]
    assert codes == ["executive_not_connected", "no_press"]


def test_the_most_fundamental_comes_first() -> None:
    scene = Scene().ready()
    for spoil in (held("imaging_lost", "self_test"), opened(In.DOOR), pictures(panel_link=False),
                  of("generator", "up", False), of("", "finding", None), of("", "proof", None),
                  age("executive", 10**9)):  # fmt: skip
        spoil(scene)
    scene.core.session_until_ns = scene.now_ns + 1
    assert [r.code for r in reasons(scene.core, scene.now_ns)] == [
        "fault_self_test", "fault_imaging_lost", "executive_silent", "interlock_door",
        "panel_not_connected", "generator_not_connected", "records_not_reconciled",
        "service_session_open", "self_test_not_passed", "no_press",
    ]  # fmt: skip
    assert [r.code for r in partners(scene.core, scene.now_ns)] == [
        "executive_silent", "panel_not_connected", "generator_not_connected",
    ]  # fmt: skip
    assert [r.code for r in standing(scene.core, scene.now_ns, RESET)] == [
        "executive_silent", "generator_not_connected",
    ]  # fmt: skip


def test_a_fault_without_a_detail_shows_its_cause() -> None:
    scene = Scene().ready()
    scene.core.faults = (Held("self_test", "", 1), Held("imaging_lost", "", 1))
    told = {r.code: r.value for r in reasons(scene.core, scene.now_ns)}
    assert told["fault_self_test"] == "a step of the self-test failed"
    assert told["fault_imaging_lost"] == "imaging closed its socket or fell silent"


def test_what_is_shown_of_a_reason() -> None:
    scene = Scene().ready()
    line(black_box_unread=20_001, black_box_capacity=40_000)(scene)
    shown = reasons(scene.core, scene.now_ns)[0].shown()
    assert shown == {
        "code": "black_box_half_full", "value": 20_001, "limit": "≤ 20000 records",
        "remedy": "wait until the durable copy has caught up",
    }  # fmt: skip
    assert (EXECUTIVE_AGE_MAX_NS, IMAGING_AGE_MAX_NS) == (300 * MS, 500 * MS)


def test_a_proof_holds_for_the_partners_it_was_made_with() -> None:
    scene = Scene().ready()
    assert proven(scene.core)
    scene.core.generator.ups += 1
    assert not proven(scene.core)


def test_nothing_is_said_of_a_black_box_that_nobody_reports() -> None:
    scene = Scene().ready()
    scene.core.executive.state = None
    codes = [r.code for r in reasons(scene.core, scene.now_ns)]
    assert codes == ["executive_not_connected", "no_press"]
