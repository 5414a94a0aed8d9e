"""What is installed: the configuration that a process reads when it starts, and how it goes wrong.

Lives here: the kinds of bad configuration (`KINDS`), each with the key that must be named, and what
becomes of a process that starts with one.  May not live here: what is allowed; that is the shipped
table (`realtime.wire.config`), which every process reads at its start and never again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from controller.core import modes
from hil.sim.words import NAMED
from realtime.wire.config import ConfigError, parsed

if TYPE_CHECKING:
    from hil.sim.world import World

MS: Final = 1_000_000
PROFILE: Final = Path(modes.__file__).parents[1] / "profiles" / "bench.toml"
# Whoever watches over processes starts one again after this (RestartSec).
RESTART_NS: Final = 100 * MS
Edit = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """One bad configuration: what is changed in a good one, and the key that must be named."""

    key: str
    edit: Edit


def _section(text: str, name: str) -> tuple[int, int]:
    """Where the lines of a section begin and end; '' is the head of the file."""
    begin = text.index(f"[{name}]\n") + len(name) + 3 if name else 0
    end = text.find("\n[", begin)
    return begin, len(text) if end < 0 else end + 1


def _set(key: str, value: str) -> Kind:
    """A key that is there, with another value."""
    section, _, name = key.rpartition(".")

    def edit(text: str) -> str:
        begin, end = _section(text, section)
        line = re.compile(rf"^{name} = .*$", re.MULTILINE)
        return text[:begin] + line.sub(f"{name} = {value}", text[begin:end]) + text[end:]

    return Kind(key, edit)


def _add(key: str, value: str) -> Kind:
    """A key that nobody knows, in a section that is there or in one of its own."""
    section, _, name = key.rpartition(".")

    def edit(text: str) -> str:
        if f"[{section}]\n" not in text:
            return f"{text}\n[{section}]\n{name} = {value}\n"
        begin, _ = _section(text, section)
        return f"{text[:begin]}{name} = {value}\n{text[begin:]}"

    return Kind(key, edit)


def _drop(key: str) -> Kind:
    """A key that is missing."""
    section, _, name = key.rpartition(".")

    def edit(text: str) -> str:
        begin, end = _section(text, section)
        line = re.compile(rf"^{name} = .*\n", re.MULTILINE)
        return text[:begin] + line.sub("", text[begin:end]) + text[end:]

    return Kind(key, edit)


def _whole(key: str, edit: Edit) -> Kind:
    return Kind(key, edit)


def _of_two(key: str, *edits: Kind) -> Kind:
    """Several changes, of which `key` is the one that must be named."""

    def edit(text: str) -> str:
        for each in edits:
            text = each.edit(text)
        return text

    return Kind(key, edit)


KINDS: Final[Mapping[str, Kind]] = {
    # A protection that is switched off: there is no such key, whatever it is called.
    "overload_protection_off": _add("generator.tube_overload_protection", "false"),
    "interlock_off": _add("interlocks.door", "false"),
    "back_up_timer_off": _add("beam.backup_timer", "false"),
    "chain_bypassed": _add("lines.bypass_chain", "true"),
    "debounce_off": _add("beam.debounce_ms", "0"),
    # Numbers that are none, or far off.
    "nan": _set("technique.kv", "nan"),
    "nan_limit": _set("generator.kv", "[nan, 120.0]"),
    "infinite": _set("beam.run_max_s", "inf"),
    "negative": _set("technique.ma", "-40.0"),
    "zero": _set("technique.ms", "0.0"),
    "beyond": _set("technique.kv", "151.0"),
    "wrong_unit": _set("technique.ms", "8000.0"),
    "fraction": _set("panel.width", "1024.5"),
    "enormous": _set("beam.width_cap_us", "1" + 400 * "0"),
    # Limits.
    "swapped_limits": _set("generator.kv", "[120.0, 40.0]"),
    "equal_limits": _set("generator.ma", "[10.0, 10.0]"),
    "one_limit": _set("generator.ms", "[50.0]"),
    "outside_limits": _of_two("technique.kv", _set("generator.kv", "[80.0, 120.0]")),
    "above_the_cap": _of_two("technique.ms", _set("beam.width_cap_us", "5000")),
    "rate_not_listed": _set("technique.pulses_per_s", "12.5"),
    # Keys and kinds.
    "unknown_key": _add("beam.run_maximum_s", "60.0"),
    "unknown_section": _add("beem.run_max_s", "60.0"),
    "quoted_key": _whole('"technique.kv"', lambda text: f'"technique.kv" = 70.0\n{text}'),
    "missing_key": _drop("beam.width_cap_us"),
    "text_for_number": _set("technique.kv", '"70"'),
    "number_for_text": _set("device", "7"),
    "truth_for_number": _set("panel.height", "true"),
    "driver_of_a_board": _set("lines.driver", '"gpio"'),
    "open_network": _of_two("mqtt.security", _set("mqtt.broker", '"external"'),
                            _set("mqtt.host", '"192.0.2.1"'), _set("mqtt.port", "1883")),
    # Files.
    "not_toml": _whole("file", lambda text: text.replace("[beam]", "[beam")),
    "twice": _whole("file", lambda text: text.replace("[beam]\n", "[beam]\nrun_max_s = 600.0\n")),
    "cut": _whole("technique.ma", lambda text: text[: text.index("ma = 40.0")]),
    "empty": _whole("profile", lambda text: ""),
}  # fmt: skip


def spoiled(kind: str) -> str:
    """The bench configuration with this wrong in it."""
    return KINDS[kind].edit(PROFILE.read_text(encoding="utf-8"))


class Installation:
    """`refused` counts starts that came to nothing; `kind` is '' while the right file is there."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._text = ""
        self.kind = ""
        self.refused = 0

    def replace(self, kind: str) -> None:
        """Another file takes the place of the right one, and everything is started anew."""
        world = self._world
        self.kind, self._text = kind, spoiled(kind)
        for name in ("supervisor", "imaging", "realtime"):
            world.kill(name)
            world.after(RESTART_NS, world.restart, name)

    def put_back(self) -> None:
        """The right file again; whoever watches over processes starts them."""
        self.kind = ""
        for name in ("supervisor", "imaging", "realtime"):
            self._world.after(RESTART_NS, self._world.restart, name)

    def refuses(self, name: str) -> bool:
        """Whether a process that starts now refuses what it reads, and ends."""
        if not self.kind:
            return False
        world = self._world
        try:
            parsed(self._text, "carm.toml")
        except ConfigError as error:
            self.refused += 1
            world.mark("process", name, "refused")
            world.journal.note("refused", world.clockwork.now_ns, name, error.key)
            if error.key == KINDS[self.kind].key:
                world.observed.tell(world.clockwork.now_ns, NAMED)
            world.look()
            # It ends as refused, and nobody starts it again: that would only repeat it.
            return True
        return False
