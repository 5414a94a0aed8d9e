"""The configuration table: every key of the one TOML file, its kind, range and meaning.

Lives here: the table, the reader that refuses what the table does not allow, and the relations
between keys.  `docs/configuration.md` is generated from it.  May not live here: defaults (a missing
key is refused), or any key that switches a protection off: there is none, only ranges.

`load(path)` gives a `Config`: plain nested values, checked; each process reads its own sections.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final


class ConfigError(ValueError):
    """A refused configuration: which key, what it holds, what is allowed, what to do."""

    def __init__(self, key: str, value: object, allowed: str, remedy: str = "") -> None:
        super().__init__(f"{key} = {value!r}: allowed is {allowed}")
        self.key = key
        self.value = value
        self.allowed = allowed
        self.remedy = remedy or f"set {key} to {allowed}"


@dataclass(frozen=True, slots=True)
class Key:
    """One row: `kind` is int, float, str, floats, or pair (low, high); `choices` for str."""

    name: str
    kind: str
    meaning: str
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind == "str":
            return "text of 1 … 200 characters"
        span = f"{self.low:g} … {self.high:g}"
        return {
            "int": f"a whole number {span}",
            "float": f"a number {span}",
            "floats": f"1 … 16 different numbers {span}",
            "pair": f"[low, high] with {self.low:g} ≤ low < high ≤ {self.high:g}",
        }[self.kind]


def _text(name: str, meaning: str, *choices: str) -> Key:
    return Key(name, "str", meaning, choices=choices)


def _int(name: str, low: int, high: int, meaning: str) -> Key:
    return Key(name, "int", meaning, low, high)


def _float(name: str, low: float, high: float, meaning: str) -> Key:
    return Key(name, "float", meaning, low, high)


# The 5-minute signal (21 CFR 1020.32): never later, whatever is configured.
SIGNAL_EVERY_S: Final = 300
KEYS: Final[tuple[Key, ...]] = (
    _text("profile", "how much the process trusts its machine", "bench", "board"),
    _text("device", "name of this C-arm in logs, topics and headers"),
    _text("lines.driver", "driver of the line bank", "wire", "gpio"),
    _text("lines.path", "socket of the line bus, relative to the run directory"),
    _text("panel.driver", "driver of the panel (entry point group carm.panel)"),
    _text("panel.path", "socket that hands over the raw ring, relative to the run directory"),
    _text("panel.calibration", "offset, gain and defects, relative to the run directory"),
    _text("panel.topology", "who starts a panel cycle", "controller_master", "panel_master"),
    _int("panel.width", 64, 4096, "columns"),
    _int("panel.height", 64, 4096, "rows"),
    _int("panel.pitch_um", 20, 1000, "pixel pitch, µm"),
    _int("panel.window_us", 1000, 100_000, "the panel integrates and reads nothing, µs"),
    _int("panel.readout_us", 1000, 200_000, "from the close of the window to the whole frame, µs"),
    _int("panel.trigger_delay_us", 0, 5000, "from PANEL_TRIGGER to WINDOW, µs (controller master)"),
    _float("panel.base_rate_hz", 1, 60, "cycles per second of a free-running panel (panel master)"),
    _int("beam.guard_open_us", 100, 5000, "from the opening of WINDOW to the earliest PULSE, µs"),
    _int("beam.guard_close_us", 100, 5000, "from the end of the tail to the close of WINDOW, µs"),
    _int("beam.width_cap_us", 1000, 50_000, "longest pulse that is ever ordered, µs"),
    _int("beam.spacing_min_us", 10_000, 1_000_000, "least time between two rises of PULSE, µs"),
    _float("beam.run_max_s", 10, 600, "continuous irradiation after which a run is ended, s"),
    _float(
        "beam.signal_every_s",
        10,
        SIGNAL_EVERY_S,
        "irradiation from one 5-minute signal to the next, s; board: 300, bench: also less",
    ),
    _text("generator.driver", "driver of the generator (entry point group carm.generator)"),
    _text("generator.interface", "python-can interface", "slcan", "socketcan"),
    _text("generator.channel", "device or channel, relative to the run directory if not absolute"),
    _int("generator.node_id", 1, 127, "CANopen node"),
    _int("generator.heartbeat_ms", 20, 1000, "heartbeat of the generator; three missed disarm, ms"),
    _int("generator.rise_us", 10, 2000, "tube voltage rise, µs"),
    _int("generator.capacitance_pf", 10, 5000, "high-voltage capacitance: tail = C·V/I, pF"),
    Key("generator.kv", "pair", "tube voltage the generator accepts, kV", 30, 150),
    Key("generator.ma", "pair", "tube current the generator accepts, mA", 0.1, 1000),
    Key("generator.ms", "pair", "pulse width the generator accepts, ms", 0.5, 50),
    _float("technique.kv", 30, 150, "tube voltage of the fixed technique, kV"),
    _float("technique.ma", 0.1, 1000, "tube current of the fixed technique, mA"),
    _float("technique.ms", 0.5, 50, "pulse width of the fixed technique, ms"),
    _text("technique.filter", "added filter", "none", "3Al+0.1Cu"),
    _float("technique.field_mm", 20, 500, "field at the receptor, mm"),
    _float("technique.pulses_per_s", 0.5, 30, "pulse rate at start"),
    Key("technique.rates", "floats", "pulse rates that `carm set rate` may choose", 0.5, 30),
    _text("stream.bind", "endpoint of the frame stream: a path in the run directory, or tcp://…"),
    _int("supervisor.prep_max_s", 1, 30, "longest preparation held, s"),
    _text(
        "mqtt.broker",
        "service over MQTT: none, our own for demo and tests, or a real one",
        "off",
        "embedded",
        "external",
    ),
    _text("mqtt.host", "host of the broker"),
    _int("mqtt.port", 0, 65535, "port of the broker; 0: the embedded one takes a free port"),
    _text("mqtt.protocol", "version of MQTT", "5", "3.1.1"),
    _text(
        "mqtt.security",
        "loopback: nothing leaves this machine; tls: certificates both ways",
        "loopback",
        "tls",
    ),
    _text("mqtt.certificates", "folder of ca.crt, client.crt, client.key (tls)"),
    _text("mqtt.keys", "folder of people's public keys, ROLE/NAME.pem"),
)
_BY_NAME: Final = {key.name: key for key in KEYS}
_SECTIONS: Final = frozenset(key.name.rpartition(".")[0] for key in KEYS)


def _number(key: Key, value: Any) -> float:
    # NaN is in no range; a whole number too large for a float compares all the same.
    if type(value) not in (int, float) or not key.low <= value <= key.high:
        raise ConfigError(key.name, value, key.allowed)
    return float(value)


def _checked(key: Key, value: Any) -> Any:
    if key.kind == "str":
        if type(value) is not str or not 0 < len(value) <= 200:
            raise ConfigError(key.name, value, key.allowed)
        if key.choices and value not in key.choices:
            raise ConfigError(key.name, value, key.allowed)
        return value
    if key.kind == "int" and type(value) is not int:
        raise ConfigError(key.name, value, key.allowed)
    if key.kind == "int":
        return int(_number(key, value))
    if key.kind == "float":
        return _number(key, value)
    if type(value) is not list or not value or len(value) > 16:
        raise ConfigError(key.name, value, key.allowed)
    numbers = tuple(_number(key, item) for item in value)
    if key.kind == "pair" and (len(numbers) != 2 or not numbers[0] < numbers[1]):
        raise ConfigError(key.name, value, key.allowed)
    if len(set(numbers)) != len(numbers):
        raise ConfigError(key.name, value, key.allowed)
    return numbers


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in table.items():
        if "." in name:
            # A quoted key could pass for a key of a section and hide it.
            raise ConfigError(f'"{prefix}{name}"', value, "not a key", "write it in its section")
        if isinstance(value, dict) and (value or prefix + name in _SECTIONS):
            values.update(_flat(value, f"{prefix}{name}."))
        else:
            values[prefix + name] = value
    return values


@dataclass(frozen=True)
class Config:
    """Checked values by dotted key, e.g. `config["panel.width"]`."""

    values: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def path(self, key: str, run_dir: Path) -> Path:
        """The file named by `key`, relative names taken in the run directory."""
        return run_dir / str(self.values[key])

    @property
    def tail_us(self) -> int:
        """High-voltage tail of the fixed technique, C·V/I rounded up, µs."""
        return tail_us(self["generator.capacitance_pf"], self["technique.kv"], self["technique.ma"])


def tail_us(capacitance_pf: float, tube_kv: float, tube_ma: float) -> int:
    """Time for the stored charge to drain through the tube, rounded up to whole µs (domain §4)."""
    # pF · kV / mA = 1e-12 · 1e3 / 1e-3 s = 1e-6 s
    return math.ceil(capacitance_pf * tube_kv / tube_ma)


def check(table: Mapping[str, Any]) -> Config:
    """Check a parsed file; raises ConfigError naming the first key that is wrong."""
    flat = _flat(table)
    for name, value in flat.items():
        if name not in _BY_NAME:
            raise ConfigError(name, value, "not a key", f"remove {name}; see docs/configuration.md")
    for key in KEYS:
        if key.name not in flat:
            raise ConfigError(key.name, None, key.allowed)
    config = Config({key.name: _checked(key, flat[key.name]) for key in KEYS})
    _relations(config)
    return config


def _relations(config: Config) -> None:
    for name in ("kv", "ma", "ms"):
        low, high = config[f"generator.{name}"]
        if not low <= config[f"technique.{name}"] <= high:
            raise ConfigError(
                f"technique.{name}", config[f"technique.{name}"], f"{low:g} … {high:g}"
            )
    if config["technique.pulses_per_s"] not in config["technique.rates"]:
        raise ConfigError(
            "technique.pulses_per_s", config["technique.pulses_per_s"], "one of technique.rates"
        )
    if config["technique.ms"] * 1000 > config["beam.width_cap_us"]:
        cap_ms = config["beam.width_cap_us"] / 1000
        raise ConfigError("technique.ms", config["technique.ms"], f"at most {cap_ms:g} (width cap)")
    cycle_us = config["panel.window_us"] + config["panel.readout_us"]
    if config["panel.topology"] == "panel_master":
        base_us = 1e6 / config["panel.base_rate_hz"]
        if cycle_us > base_us:
            raise ConfigError("panel.window_us", config["panel.window_us"],
                              f"window + readout ≤ {base_us:.0f} µs at the base rate")  # fmt: skip
    # A rule's interval: a bench may hear it sooner, to prove it; on a board it is what it is.
    if config["profile"] == "board" and config["beam.signal_every_s"] != SIGNAL_EVERY_S:
        raise ConfigError("beam.signal_every_s", config["beam.signal_every_s"],
                          f"{SIGNAL_EVERY_S} (profile board)")  # fmt: skip
    _mqtt_relations(config)
    if config["profile"] == "bench" and config["lines.driver"] != "wire":
        raise ConfigError("lines.driver", config["lines.driver"], "wire (profile bench)")


def _mqtt_relations(config: Config) -> None:
    if config["mqtt.broker"] == "off":
        return
    loopback = config["mqtt.host"] in ("127.0.0.1", "::1", "localhost")
    if config["mqtt.security"] == "loopback" and not loopback:
        raise ConfigError("mqtt.security", "loopback", "tls, as the broker is on another machine")
    embedded = config["mqtt.broker"] == "embedded"
    if embedded and (config["profile"] != "bench" or config["mqtt.security"] != "loopback"):
        raise ConfigError("mqtt.broker", "embedded", "external (embedded: bench and loopback only)")
    if embedded and config["mqtt.protocol"] != "3.1.1":
        raise ConfigError("mqtt.protocol", config["mqtt.protocol"], "3.1.1 (embedded broker)")
    if not embedded and config["mqtt.port"] == 0:
        raise ConfigError("mqtt.port", 0, "1 … 65535 (external broker)")


def parsed(text: str, name: str) -> Config:
    """Check the text of a TOML file of this name; raises ConfigError, also for malformed text."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers too long, brackets too deep
        raise ConfigError("file", name, "valid TOML", str(error)) from None
    return check(table)


def load(path: Path) -> Config:
    """Read and check a TOML file; raises ConfigError, also for unreadable or malformed files."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError("file", str(path), "a readable file", str(error)) from None
    except ValueError as error:  # not UTF-8
        raise ConfigError("file", str(path), "valid TOML", str(error)) from None
    return parsed(text, str(path))
