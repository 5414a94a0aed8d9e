"""The generator contract: over the object that other tests use, and over CANopen with the rig."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cli.machine import BENCH as BENCH_FILE
from controller.cli.machine import ROOM, _room_answers
from controller.core.refusal import Refusal
from controller.core.technique import from_config
from controller.devices import conformance
from controller.devices.canopen_generator import CanopenGenerator
from controller.devices.conformance import GENERATOR, Broken, Check, Scene, run_contract
from controller.devices.generator import Generator, GeneratorError, commit, find
from tests.controller.core.scene import BENCH, bench
from tests.controller.supervisor.peers import ObjectGenerator, until


@pytest.mark.parametrize("check", GENERATOR, ids=lambda check: check.__name__)
def test_the_object_keeps_the_contract(check: Check) -> None:
    scene = Scene(BENCH)
    driver = ObjectGenerator(scene)
    driver.open()
    assert check(driver, scene)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    run_dir = tmp_path_factory.mktemp("room")
    command = [sys.executable, "-m", "controller.cli.launch", "--config", str(BENCH_FILE),
               "--run-dir", str(run_dir), "--parts", ",".join(ROOM)]  # fmt: skip
    launcher = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until("the room", lambda: _room_answers(run_dir), 30.0)
        yield run_dir
    finally:
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(20) == 0


@pytest.mark.process
def test_canopen_with_the_stand_in_keeps_the_contract(room: Path) -> None:
    body = run_contract("generator", "canopen", BENCH_FILE, room)
    assert [row for row in body["checks"] if not row["ok"]] == []
    assert len(body["checks"]) == len(GENERATOR)


@pytest.mark.process
def test_canopen_keeps_count_of_what_is_no_frame_of_its_own(room: Path) -> None:
    scene = Scene(BENCH)
    driver = CanopenGenerator(BENCH, room, scene)
    for size in (0, 7, 9):
        driver._on_pdo1(0, bytearray(size), 0.0)
        driver._on_pdo2(0, bytearray(size), 0.0)
        driver._on_pdo3(0, bytearray(size), 0.0)
        driver._on_emcy(0, bytearray(size), 0.0)
        driver._on_heartbeat(0, bytearray(size), 0.0)
    assert driver.rejected == {"pdo1": 3, "pdo2": 3, "pdo3": 3, "emcy": 3, "heartbeat": 3}
    first, second = bytearray(b"\5\0\1\0\7\0\0\0"), bytearray(b"\5\0\x20\3\xbc\2\x40\1")
    driver._on_pdo2(0, second, 0.0)
    driver._on_pdo1(0, bytearray(b"\4\0\1\0\7\0\0\0"), 0.0)
    driver._on_pdo2(0, second, 0.0)
    assert (driver.rejected["pdo2_alone"], scene.results) == (2, [])
    driver._on_pdo1(0, first, 0.0)
    driver._on_pdo2(0, second, 0.0)
    (result,) = scene.results
    assert (result.counter, result.technique_id, result.width_us) == (0x10005, 7, 8000)
    assert (result.tube_kv, result.mas) == (70.0, 0.32)
    assert driver.heartbeat_ns() == 0


def test_a_bus_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    driver = CanopenGenerator(BENCH, tmp_path, Scene(BENCH))
    with pytest.raises(GeneratorError, match="bus"):
        driver.open()
    with pytest.raises(GeneratorError, match="closed"):
        driver.counter()
    with pytest.raises(GeneratorError, match="closed"):
        driver.prepare(True)
    driver.close()
    body = run_contract("generator", "canopen", BENCH_FILE, tmp_path)
    assert body["error"]["blame"] == "device"


def test_drivers_are_found_by_name(tmp_path: Path) -> None:
    assert isinstance(find(BENCH, tmp_path, Scene(BENCH)), CanopenGenerator)
    with pytest.raises(Refusal, match="no_such_driver"):
        find(bench(generator__driver="imaginary"), tmp_path, Scene(BENCH))
    assert run_contract("generator", "imaginary", BENCH_FILE, tmp_path)["error"]["blame"] == "input"
    assert "error" in run_contract("generator", "canopen", tmp_path / "none.toml", tmp_path)


class Forgetful(ObjectGenerator):
    """Keeps bank 0 and bank 1 in one place."""

    def write_bank(self, bank: int, image: object) -> None:
        super().write_bank(0, image)  # type: ignore[arg-type]
        self.banks[1] = self.banks[0]


class Careless(ObjectGenerator):
    """Takes everything."""

    def write_bank(self, bank: int, image: object) -> None:
        self.banks[bank] = image  # type: ignore[call-overload]


class Lazy(ObjectGenerator):
    """Never becomes ready."""

    def prepare(self, on: bool) -> None:
        self.prepared = False


class Dead(ObjectGenerator):
    """Sends no heartbeat."""

    def heartbeat_ns(self) -> int:
        return 0


class Busy(ObjectGenerator):
    """Makes pulses by itself."""

    def counter(self) -> int:
        self.fire(0)
        return 5


def off_by_one(scene: Scene) -> ObjectGenerator:
    driver = ObjectGenerator(scene)
    driver.stores_one_step_else = True
    return driver


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (off_by_one, conformance.banks_read_back), (Forgetful, conformance.banks_are_apart),
        (Careless, conformance.wrong_check_is_not_valid),
        (Careless, conformance.out_of_range_is_refused), (Lazy, conformance.prepares_and_rests),
        (Dead, conformance.heartbeat_comes), (Busy, conformance.counter_and_results_agree),
    ],
)  # fmt: skip
def test_the_contract_can_be_broken(
    make: type[ObjectGenerator], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "PREPARED_MAX_NS", 10_000_000)
    scene = Scene(BENCH)
    with pytest.raises(Broken):
        check(make(scene), scene)


def test_a_pulse_during_the_contract_breaks_it() -> None:
    scene = Scene(BENCH)
    driver = ObjectGenerator(scene)
    commit(driver, 0, from_config(BENCH))
    driver.fire(0)
    with pytest.raises(Broken, match="1 pulses"):
        conformance.makes_no_pulse(driver, scene)


def test_a_read_back_names_what_differs() -> None:
    driver: Generator = off_by_one(Scene(BENCH))
    ok, detail = commit(driver, 0, from_config(BENCH))
    assert not ok
    assert detail == "kv_tenths 701 instead of 700"
