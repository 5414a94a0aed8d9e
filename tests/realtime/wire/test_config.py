"""The configuration: the shipped profile is accepted; everything else names its key."""

import copy
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.wire import config
from realtime.wire.config import KEYS, ConfigError, check, load, tail_us
from tests.house.tree import ROOT

BENCH = ROOT / "controller/profiles/bench.toml"
TABLE = tomllib.loads(BENCH.read_text())

EXTERNAL = {
    "mqtt__broker": "external", "mqtt__host": "broker.example", "mqtt__port": 8883,
    "mqtt__security": "tls",
}  # fmt: skip
EMBEDDED = {
    "mqtt__broker": "embedded", "mqtt__host": "127.0.0.1", "mqtt__port": 0,
    "mqtt__security": "loopback", "mqtt__protocol": "3.1.1",
}  # fmt: skip


def table(**changes: Any) -> dict[str, Any]:
    """The bench profile with keys replaced; `__` stands for the dot, ... removes the key."""
    changed = copy.deepcopy(TABLE)
    for name, value in changes.items():
        section, _, key = name.rpartition("__")
        place = changed[section] if section else changed
        if value is ...:
            del place[key]
        else:
            place[key] = value
    return changed


def refused(changed: dict[str, Any]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check(changed)
    error = caught.value
    assert error.key in str(error)
    assert error.remedy
    return error


def test_the_bench_profile_is_accepted() -> None:
    bench = load(BENCH)
    assert bench["panel.width"] == 1024
    assert bench["generator.kv"] == (40.0, 120.0)
    assert bench.path("lines.path", Path("run")) == Path("run/lines.sock")
    assert bench.tail_us == tail_us(150, 70, 40) == 263


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_is_required(key: config.Key) -> None:
    error = refused(table(**{key.name.replace(".", "__"): ...}))
    assert error.key == key.name
    assert error.allowed == key.allowed
    assert key.meaning


BOARD: dict[str, Any] = {"profile": "board", "lines__driver": "gpio"}
BAD: dict[str, list[Any]] = {
    "str": ["", "x" * 201, 3, None],
    "int": [1.5, "3", True, -(10**6), 10**9, 10**400, math.nan],
    "float": ["3", True, math.nan, math.inf, -math.inf, -(10.0**9), 10.0**9, 10**400],
    "floats": [[], 3.0, [math.nan], ["x"], [1.0, 1.0], [1.0] * 17, [0.0]],
    "pair": [[], [60.0], [90.0, 60.0], [60.0, 60.0], [40.0, 60.0, 80.0], [math.nan, 60.0]],
}


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_every_key_refuses_wrong_kinds_and_ranges_by_name(key: config.Key) -> None:
    for value in BAD[key.kind] + (["no such choice"] if key.choices else []):
        error = refused(table(**{key.name.replace(".", "__"): value}))
        assert error.key == key.name, value


@pytest.mark.parametrize("name", ["interlocks.disable", "no_tube_overload_protection", "panel.x"])
def test_an_unknown_key_is_named(name: str) -> None:
    section, _, key = name.rpartition(".")
    changed = copy.deepcopy(TABLE)
    place = changed.setdefault(section, {}) if section else changed
    place[key] = True
    error = refused(changed)
    assert error.key == name
    assert "remove" in error.remedy


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"technique__kv": 39.0}, "technique.kv"),
        ({"technique__ma": 201.0}, "technique.ma"),
        ({"technique__ms": 0.9}, "technique.ms"),
        ({"technique__pulses_per_s": 12.5}, "technique.pulses_per_s"),
        ({"beam__width_cap_us": 7999}, "technique.ms"),
        ({"panel__topology": "panel_master", "panel__window_us": 16_000}, "panel.window_us"),
        ({"lines__driver": "gpio"}, "lines.driver"),
        ({**BOARD, "beam__signal_every_s": 299.9}, "beam.signal_every_s"),
        ({**BOARD, "beam__signal_every_s": 10}, "beam.signal_every_s"),
        ({"beam__signal_every_s": 9.9}, "beam.signal_every_s"),
        ({"beam__signal_every_s": 300.1}, "beam.signal_every_s"),
        ({**EXTERNAL, "mqtt__security": "loopback"}, "mqtt.security"),
        ({**EMBEDDED, "profile": "board"}, "mqtt.broker"),
        ({**EMBEDDED, "mqtt__security": "tls"}, "mqtt.broker"),
        ({**EMBEDDED, "mqtt__protocol": "5"}, "mqtt.protocol"),
        ({**EXTERNAL, "mqtt__port": 0}, "mqtt.port"),
    ],
)
def test_relations_between_keys(changes: dict[str, Any], key: str) -> None:
    assert refused(table(**changes)).key == key


def test_what_the_relations_allow() -> None:
    assert check(table(panel__topology="panel_master"))["panel.topology"] == "panel_master"
    assert check(table(profile="board", lines__driver="gpio"))["lines.driver"] == "gpio"
    assert check(table(**BOARD, beam__signal_every_s=300))["beam.signal_every_s"] == 300
    assert check(table(beam__signal_every_s=10))["beam.signal_every_s"] == 10
    assert check(table(beam__width_cap_us=8000))["beam.width_cap_us"] == 8000
    assert check(table(**EXTERNAL))["mqtt.broker"] == "external"
    assert check(table(**EMBEDDED))["mqtt.broker"] == "embedded"
    off = {**EXTERNAL, "mqtt__broker": "off", "mqtt__security": "loopback", "mqtt__port": 0}
    assert check(table(**off))["mqtt.broker"] == "off"


def test_unreadable_and_malformed_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    with pytest.raises(ConfigError, match="readable"):
        load(path)
    for text in (b"profile = ", b"\xff\xfe", b"x = " + b"1" * 5000, b"x = " + b"[" * 5000):
        path.write_bytes(text)
        with pytest.raises(ConfigError, match="valid TOML"):
            load(path)


def test_allowed_values_are_words() -> None:
    for key in KEYS:
        assert key.allowed
    assert config.Key("x", "str", "", choices=("a", "b")).allowed == "one of a, b"


@given(st.floats(10, 5000), st.floats(30, 150), st.floats(0.1, 1000))
def test_the_tail_is_rounded_up(pf: float, kv: float, ma: float) -> None:
    us = tail_us(pf, kv, ma)
    assert us - 1 < pf * kv / ma <= us


@pytest.mark.parametrize("extra", ["[foo]\n", '"lines.driver" = "wire"\n'])
def test_an_empty_section_or_a_quoted_key_is_refused(extra: str, tmp_path: Path) -> None:
    text = BENCH.read_text()
    file = tmp_path / "carm.toml"
    file.write_text(f"{extra}\n{text}" if extra.startswith('"') else f"{text}\n{extra}")
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert refused.value.key.strip('"') in ("foo", "lines.driver")
    assert refused.value.allowed == "not a key"
