"""The contract that every generator driver, with its generator, must keep.

Lives here: the checks, each a function `(driver, scene) -> words`, and the runner behind
`carm conformance generator NAME`.  May not live here: a driver, or anything that could shine: no
check raises a line, so no pulse is made.  The same functions run in the tests over the stand-in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from controller.core.events import GeneratorStatus
from controller.core.refusal import Refusal
from controller.core.results import PulseResult
from controller.core.technique import Technique, checked, from_config
from controller.devices.generator import Generator, GeneratorError, commit, find, image_of
from realtime.wire.config import Config, ConfigError, load

_S: Final = 1_000_000_000
# domain §4: rotor 0 → ready 0.8 … 2.5 s, filament 0.2 … 1 s; twice the sum is a failure.
PREPARED_MAX_NS: Final = 7 * _S
CONTRACT_ID: Final = 0x00C0_FFEE


class Broken(AssertionError):
    """The driver or its generator does not keep a point of the contract."""


@dataclass(slots=True)
class Scene:
    """What a check may use beside the driver; also the driver's listener."""

    config: Config
    results: list[PulseResult] = field(default_factory=list)
    statuses: list[GeneratorStatus] = field(default_factory=list)
    emergencies: list[tuple[int, str]] = field(default_factory=list)

    def result(self, result: PulseResult) -> None:
        """Keep it."""
        self.results.append(result)

    def status(self, status: GeneratorStatus) -> None:
        """Keep it."""
        self.statuses.append(status)

    def emergency(self, code: int, detail: str) -> None:
        """Keep it."""
        self.emergencies.append((code, detail))

    def await_true(self, what: str, seen: Callable[[], bool], within_ns: int) -> float:
        """Poll until `seen`; ms waited; Broken when it does not come."""
        start_ns = time.monotonic_ns()
        while not seen():
            if time.monotonic_ns() - start_ns > within_ns:
                raise Broken(f"{what}: not within {within_ns / 1e6:.0f} ms")
            time.sleep(0.002)
        return (time.monotonic_ns() - start_ns) / 1e6


def _corners(config: Config) -> list[Technique]:
    """Techniques at the ends of the generator's ranges that fit the panel's window."""
    corners, number = [], CONTRACT_ID
    for kv in config["generator.kv"]:
        for ma in config["generator.ma"]:
            number += 1
            wanted = {"kv": kv, "ma": ma, "ms": config["generator.ms"][0],
                      "rate": min(config["technique.rates"])}  # fmt: skip
            try:
                corners.append(checked(wanted, config).numbered(number))
            except Refusal:
                continue
    return [from_config(config).numbered(CONTRACT_ID), *corners]


def heartbeat_comes(driver: Generator, scene: Scene) -> str:
    """Heartbeats come at the configured rate."""
    period_ns = scene.config["generator.heartbeat_ms"] * 1_000_000
    for _ in range(3):
        last_ns = driver.heartbeat_ns()
        scene.await_true("heartbeat", lambda last=last_ns: driver.heartbeat_ns() != last,  # type: ignore[misc]
                         2 * period_ns)  # fmt: skip
    return f"3 heartbeats, each within {2 * period_ns // 1_000_000} ms"


def banks_read_back(driver: Generator, scene: Scene) -> str:
    """Both banks return exactly what was written, also at the corners of the ranges."""
    corners = _corners(scene.config)
    for technique in corners:
        for bank in (0, 1):
            ok, detail = commit(driver, bank, technique)
            if not ok:
                raise Broken(f"bank {bank}: {detail}")
    return f"{len(corners)} techniques in 2 banks"


def banks_are_apart(driver: Generator, scene: Scene) -> str:
    """Writing one bank leaves the other one alone."""
    first = from_config(scene.config).numbered(CONTRACT_ID)
    second = first.numbered(CONTRACT_ID + 1)
    commit(driver, 0, first)
    commit(driver, 1, second)
    if driver.read_bank(0) != image_of(first):
        raise Broken("bank 0 changed when bank 1 was written")
    return "bank 0 unchanged"


def wrong_check_is_not_valid(driver: Generator, scene: Scene) -> str:
    """A bank whose check does not belong to its values is refused or reads back different."""
    image = image_of(from_config(scene.config).numbered(CONTRACT_ID))
    spoiled = image._replace(check=image.check ^ 1)
    try:
        driver.write_bank(0, spoiled)
    except GeneratorError as error:
        return f"refused: {error.code}"
    if driver.read_bank(0).check == spoiled.check:
        raise Broken("a wrong check was taken")
    return "not valid"


def out_of_range_is_refused(driver: Generator, scene: Scene) -> str:
    """A tube voltage above the range is refused and never stored as a valid bank."""
    image = image_of(from_config(scene.config).numbered(CONTRACT_ID))
    too_high = image._replace(kv_tenths=round(scene.config["generator.kv"][1] * 10) + 1)
    try:
        driver.write_bank(0, too_high)
    except GeneratorError as error:
        return f"refused: {error.code}"
    raise Broken(f"{too_high.kv_tenths / 10:g} kV was taken")


def prepares_and_rests(driver: Generator, scene: Scene) -> str:
    """Prepare brings rotor and filament, rest takes them away; both are reported."""
    driver.prepare(True)
    waited = scene.await_true("prepared", lambda: driver.read_status().prepared, PREPARED_MAX_NS)
    driver.prepare(False)
    scene.await_true("at rest", lambda: not driver.read_status().prepared, PREPARED_MAX_NS)
    if not any(status.prepared for status in scene.statuses):
        raise Broken("no status message told that the tube was ready")
    return f"ready after {waited:.0f} ms"


def counter_and_results_agree(driver: Generator, scene: Scene) -> str:
    """The last kept result carries the counter; results are consecutive."""
    counter = driver.counter()
    kept = driver.recent(min(counter, 8))
    numbers = [result.counter for result in kept]
    if numbers and numbers != list(range(counter - len(numbers) + 1, counter + 1)):
        raise Broken(f"counter {counter}, results {numbers}")
    return f"counter {counter}, {len(kept)} results"


def makes_no_pulse(driver: Generator, scene: Scene) -> str:
    """Nothing of all this made a pulse or an emergency."""
    if scene.results or scene.emergencies:
        raise Broken(f"{len(scene.results)} pulses, emergencies {scene.emergencies}")
    return "no pulse, no emergency"


Check = Callable[[Generator, Scene], str]
GENERATOR: Final[tuple[Check, ...]] = (
    heartbeat_comes, banks_read_back, banks_are_apart, wrong_check_is_not_valid,
    out_of_range_is_refused, prepares_and_rests, counter_and_results_agree, makes_no_pulse,
)  # fmt: skip
CONTRACTS: Final = {"generator": GENERATOR}


def run_contract(kind: str, name: str, config_path: Path, run_dir: Path) -> dict[str, Any]:
    """Run all checks of `kind` over driver `name`; `carm.conformance/1`, or a refusal object."""
    try:
        config = load(config_path)
    except ConfigError as error:
        return {"error": {"code": "configuration", "blame": "input", "key": error.key,
                          "value": str(error.value), "allowed": error.allowed,
                          "remedy": error.remedy}}  # fmt: skip
    config = Config({**config.values, f"{kind}.driver": name})
    scene = Scene(config)
    try:
        driver = find(config, run_dir.resolve(), scene)
        driver.open()
    except Refusal as refusal:
        return refusal.body
    except GeneratorError as error:
        return {"error": {"code": error.code, "blame": "device", "key": "generator.channel",
                          "value": config["generator.channel"], "allowed": "a device that answers",
                          "remedy": error.detail}}  # fmt: skip
    try:
        checks = [_held(check, driver, scene) for check in CONTRACTS[kind]]
    finally:
        driver.close()
    return {"schema": "carm.conformance/1", "kind": kind, "driver": name, "checks": checks}


def _held(check: Check, driver: Generator, scene: Scene) -> dict[str, Any]:
    try:
        return {"id": check.__name__, "ok": True, "detail": check(driver, scene)}
    except (Broken, GeneratorError) as error:
        return {"id": check.__name__, "ok": False, "detail": str(error)}
