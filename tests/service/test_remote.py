"""The supervisor's own check: in no mode does a wish of the network bring it nearer to X-rays."""

from pathlib import Path
from typing import Any

import pytest

from controller.core.condition import Core
from controller.core.events import (
    Commit,
    EndProcess,
    Event,
    ExecutiveUp,
    FromExecutive,
    Kind,
    Local,
    Prepare,
    Remote,
    Reply,
    ToExecutive,
)
from controller.core.faults import Held
from controller.core.machine import Machine
from controller.core.modes import DISTANCE, Mode
from controller.core.service import WISHES
from controller.core.technique import from_config
from realtime.wire.config import load
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In
from realtime.wire.messages import Exercised, Hello, Order, State

BENCH = Path(__file__).parents[2] / "controller" / "profiles" / "bench.toml"
NOW = 1_000_000_000_000
REST = INTERLOCKS | NC_CONTACTS


def state(lines: int = REST, *, run_id: int = 0, link: bool = True) -> State:
    return State(
        t_ns=NOW, realtime_epoch=1, beam="dark", run_id=run_id, lines_in=lines, lines_out=0,
        link=link, trips=[], inhibits=[], released_ns=NOW, pulses=0, skipped=0, irradiation_ms=0,
        late_max_ns=0, late_turns=0, late_cause="", black_box_unread=0, black_box_capacity=32_768,
    )  # fmt: skip


def machine(mode: Mode = Mode.STANDBY, seen: State | None = None, *, open_: bool = True) -> Machine:
    config = load(BENCH)
    core = Core(config, 7, from_config(config))
    found = Machine(core)
    found.step(ExecutiveUp(Hello("realtime", 1, 4711, 0, "")), NOW)
    found.step(FromExecutive(seen or state()), NOW)
    core.mode = Mode.STANDBY
    if open_:
        session(found, "service_open", minutes=5)
    core.mode = mode
    return found


def session(found: Machine, what: str, **arguments: Any) -> dict[str, Any]:
    return answered(found.step(Local(1, Kind.SERVICE, what, arguments), NOW))


def answered(commands: list[Any]) -> dict[str, Any]:
    (reply,) = [one for one in commands if isinstance(one, Reply)]
    return dict(reply.body)


def wish(what: str, **arguments: Any) -> Event:
    return Remote(-1, False, what, "emil", arguments)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "acknowledge": {"fault": "generator_lost"}, "restart": {"process": "realtime"},
    "lock_out": {"reason": "wear"},
}  # fmt: skip


@pytest.mark.invariant(14)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("what", [*WISHES, "ready", "reset", "press"])
def test_no_wish_raises_or_sends_anything_that_radiates(mode: Mode, what: str) -> None:
    found = machine(mode)
    commands = found.step(wish(what, **ARGUMENTS.get(what, {})), NOW)
    assert DISTANCE[found.mode] <= DISTANCE[mode]
    sent = [one.message for one in commands if isinstance(one, ToExecutive)]
    assert not [one for one in sent if isinstance(one, Order)]
    assert not [one for one in commands if isinstance(one, Prepare) and one.on]
    if what != "self_test":
        assert not [one for one in sent if isinstance(one, Exercised)]
        assert not [one for one in commands if isinstance(one, Commit)]


@pytest.mark.parametrize("what", WISHES)
@pytest.mark.parametrize(
    ("mode", "seen", "open_", "code"),
    [
        (Mode.STANDBY, state(), False, "no_session"),
        (Mode.STANDBY, state(REST | 1 << In.FLUORO_NO), True, "pedal_down"),
        (Mode.STANDBY, state(REST & ~(1 << In.CINE_NC)), True, "pedal_down"),
        (Mode.STANDBY, state(link=False), True, "pedal_down"),
        (Mode.STANDBY, state(REST | 1 << In.XRAY_ON), True, "beam_on"),
        (Mode.STANDBY, state(run_id=9), True, "beam_on"),
        (Mode.PREP, state(), True, "beam_on"),
        (Mode.EXPOSING, state(), True, "beam_on"),
    ],
)
def test_the_supervisor_refuses_by_itself(
    what: str, mode: Mode, seen: State, open_: bool, code: str
) -> None:
    found = machine(mode, seen, open_=open_)
    commands = found.step(wish(what, **ARGUMENTS.get(what, {})), NOW)
    assert answered(commands)["error"]["code"] == code
    assert not [one for one in commands if isinstance(one, ToExecutive | EndProcess)]
    assert found.mode is mode


def test_a_session_runs_out_and_can_be_closed() -> None:
    found = machine()
    assert "error" not in answered(found.step(wish("permit"), NOW))
    late = found.step(wish("permit"), NOW + 5 * 60_000_000_000)
    assert answered(late)["error"]["code"] in ("no_session", "pedal_down")
    session(found, "service_close")
    assert answered(found.step(wish("permit"), NOW))["error"]["code"] == "no_session"


def test_an_open_session_takes_ready_away_and_stands_in_its_way() -> None:
    found = machine(open_=False)
    found.core.mode = Mode.READY
    session(found, "service_open", minutes=5)
    assert found.mode is Mode.STANDBY
    refused = answered(found.step(Local(2, Kind.READY, "ready", {}), NOW))
    codes = [one["code"] for one in answered(found.step(Remote(-1, True, "", "", {}), NOW))["why"]]
    assert "error" in refused
    assert "service_session_open" in codes


@pytest.mark.parametrize("minutes", [0, 241, 1.5, "30", True, None])
def test_a_session_has_a_length(minutes: Any) -> None:
    found = machine(open_=False)
    assert session(found, "service_open", minutes=minutes)["error"]["code"] == "minutes"
    assert found.core.session_until_ns == 0


def test_acknowledging_shows_who_and_clears_nothing() -> None:
    found = machine(Mode.FAULT)
    found.core.faults = (Held("generator_lost", "three missed", NOW),)
    assert "error" in answered(found.step(wish("acknowledge", fault="self_test"), NOW))
    answered(found.step(wish("acknowledge", fault="generator_lost"), NOW))
    shown = answered(found.step(Remote(-2, True, "", "", {}), NOW))
    assert [(one["id"], one["acknowledged_by"]) for one in shown["faults"]] == [
        ("generator_lost", "emil")
    ]
    assert found.mode is Mode.FAULT


def test_restart_ends_the_process_it_names() -> None:
    found = machine()
    commands = found.step(wish("restart", process="realtime"), NOW)
    assert EndProcess("realtime", 4711) in commands
    refused = found.step(wish("restart", process="imaging"), NOW)
    assert answered(refused)["error"]["code"] == "not_running"


def test_a_lock_out_is_latched_until_a_local_reset() -> None:
    found = machine()
    answered(found.step(wish("lock_out", reason="wear"), NOW))
    assert found.mode is Mode.FAULT
    assert [(one.id, one.detail) for one in found.core.faults] == [("locked_out", "emil: wear")]
