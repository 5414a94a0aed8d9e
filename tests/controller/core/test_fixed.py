"""What the requirements fix about the supervisor: distances, leases, what the network may do."""

import pytest

from controller.core import machine
from controller.core.events import Kind
from controller.core.modes import DISTANCE, TABLE, Ignore, Mode, Row
from controller.core.order import AHEAD_NS, TICK_NS, Lease, order
from controller.core.technique import from_config
from realtime.wire.messages import Mode as Function
from realtime.wire.messages import Topology
from tests.controller.core.scene import BENCH

pytestmark = pytest.mark.invariant(12)

_DARK = (Mode.SHUTDOWN, Mode.FAULT, Mode.BOOT, Mode.SELF_TEST)


@pytest.mark.invariant(14)
def test_the_order_of_distance_is_the_required_one() -> None:
    near = {Mode.STANDBY: 1, Mode.READY: 2, Mode.HOLD: 2, Mode.PREP: 3, Mode.EXPOSING: 4}
    assert {**dict.fromkeys(_DARK, 0), **near} == DISTANCE


def test_a_lease_is_95_ms_renewed_every_20() -> None:
    assert (AHEAD_NS, TICK_NS) == (95_000_000, 20_000_000)


def test_an_order_of_fluoroscopy_is_of_the_normal_level() -> None:
    lease = Lease(3, 500, Function.FLUORO, from_config(BENCH), 1, Topology.CONTROLLER_MASTER)
    made = order(lease, 7, -1, 1_000)
    assert (made.level, made.order_seq, made.last_pulse_n) == (0, 7, 1)
    assert made.expires_ns == 1_000 + AHEAD_NS


Acts = dict[Mode, tuple[str, frozenset[Mode]] | None]


def acts(kind: Kind) -> Acts:
    found: Acts = {}
    for mode in Mode:
        row = TABLE[mode, kind]
        found[mode] = (row.action, row.targets) if isinstance(row, Row) else None
    return found


@pytest.mark.invariant(14)
def test_what_the_network_may_ask_for_in_each_mode() -> None:
    fault, none = frozenset({Mode.FAULT}), frozenset[Mode]()
    wanted: Acts = dict.fromkeys(Mode, ("remote_act", fault))
    wanted[Mode.STANDBY] = ("remote_act", frozenset({Mode.SELF_TEST, Mode.FAULT}))
    wanted[Mode.FAULT] = ("remote_act", none)
    wanted[Mode.SHUTDOWN] = ("refuse_remote", none)
    assert acts(Kind.REMOTE) == wanted
    assert acts(Kind.REMOTE_ASK) == dict.fromkeys(Mode, ("remote_ask", none))


def test_how_the_process_ends_from_each_mode() -> None:
    for mode in Mode:
        ending = mode is Mode.SHUTDOWN
        stop, broken = acts(Kind.STOP)[mode], acts(Kind.BROKEN)[mode]
        assert stop == (None if ending else ("stop", frozenset({Mode.SHUTDOWN})))
        assert broken == (None if ending else ("broken", frozenset({Mode.FAULT})))


def test_service_is_opened_only_at_rest_and_takes_ready_away() -> None:
    standby, none = frozenset({Mode.STANDBY}), frozenset[Mode]()
    for mode, act in acts(Kind.SERVICE).items():
        if mode in (Mode.READY, Mode.HOLD):
            assert act == ("service_session", standby)
        elif mode in (Mode.STANDBY, Mode.FAULT):
            assert act == ("service_session", none)
        else:
            assert act == ("refuse_busy", none)


def test_every_row_has_its_action_and_every_ignore_its_reason() -> None:
    for row in TABLE.values():
        if isinstance(row, Ignore):
            assert row.reason
        else:
            action = machine.ACTIONS[row.action]
            assert action.__name__ == row.action
