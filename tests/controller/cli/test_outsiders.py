"""The bench as a stranger at the broker: what it publishes has one thing wrong, and only that."""

import json
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from controller.cli.clocks import network
from controller.cli.clocks.network import BY, KEY, KEYS, Commands, flipped, give_keys
from controller.service.core.envelope import read
from controller.service.core.reasons import Reason, Refused
from controller.service.core.verdict import Arrival, Judge, Situation
from controller.service.keyfiles import read_ring
from controller.service.signing import body_text, load_private, signed
from hil.sim.service_process import HOSTILE

DEVICE, EPOCH, NOW_NS = "bench-1", 9, 10_000_000_000


class Place:
    """As much of a stage as a stranger needs."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def local(self, do: str) -> dict[str, Any]:
        assert do == "status"
        return {"device": DEVICE, "epoch": EPOCH}


@pytest.fixture
def ear(tmp_path: Path) -> Commands:
    give_keys(tmp_path)
    place: Any = Place(tmp_path)
    found = Commands(place, deque())
    found._taken = found._made("config_validate", {"toml": network.GOOD}, id_=found._taken_id)
    return found


def verdict_on(ear: Commands, judge: Judge, name: str, payload: bytes) -> Reason | None:
    now_ms = int(json.loads(json.loads(ear._made("why", {}))["body"])["expires_ms"])
    arrival = Arrival(name, payload, False, now_ms - network.VALID_MS + 5, NOW_NS)
    ring = read_ring(ear._stage.run_dir / KEYS)
    situation = Situation(DEVICE, EPOCH, True, True, True, NOW_NS)
    try:
        judge.judge(arrival, ring, situation)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize("kind", sorted(set(HOSTILE) - {"retained"}))
def test_each_command_has_one_thing_wrong(ear: Commands, kind: str) -> None:
    judge = Judge(read)
    assert verdict_on(ear, judge, "config_validate", ear._taken) is None
    assert verdict_on(ear, judge, *ear.spoiled("nothing")) is None
    assert verdict_on(ear, judge, *ear.spoiled(kind)) is HOSTILE[kind]


def test_a_flipped_signature_has_the_same_form(tmp_path: Path) -> None:
    give_keys(tmp_path)
    text = body_text("state", {}, device=DEVICE, epoch=EPOCH, by=BY, now_ms=0, valid_ms=1)
    payload = signed(text, load_private(tmp_path / KEY))
    assert flipped(payload) != payload
    assert read(flipped(payload), "state").signature != read(payload, "state").signature
