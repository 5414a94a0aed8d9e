"""Configurations from afar: proposed, checked, queued for the next start, rolled back.

Lives here: the folder `state/service/configs` and its few files.  May not live here: putting one
into force; `chosen` tells the launcher which file counts at a start, and READY still needs somebody
at the board.  A proposal is named by the start of its SHA-256, so it is never changed, only new.
"""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Final

from controller.core.refusal import Blame, Refusal
from controller.supervisor.state import write_whole
from realtime.wire.config import ConfigError, check, load

PROPOSALS_MAX: Final = 32
QUEUED: Final = "queued"
IN_FORCE: Final = "in-force"
BEFORE: Final = "before"
GIVEN: Final = "given"
# Somebody who could move the keys or the broker from afar could let himself in for ever.
LOCAL_ONLY: Final = ("mqtt.", "lines.", "profile", "device")


def folder_of(run_dir: Path) -> Path:
    """Where a run directory keeps configurations from afar."""
    return run_dir / "state" / "service" / "configs"


def _name(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _proposal(folder: Path, name: str) -> Path:
    return folder / f"{name}.toml"


def chosen(run_dir: Path, given: Path) -> Path:
    """The configuration for this start; a queued one comes into force here.

    One that cannot be read any more is passed over: the file given at the start counts.
    """
    folder = folder_of(run_dir)
    queued = _name(folder / QUEUED)
    if queued:
        write_whole(folder / BEFORE, (_name(folder / IN_FORCE) or GIVEN) + "\n")
        write_whole(folder / IN_FORCE, queued + "\n")
        (folder / QUEUED).unlink(missing_ok=True)
    return chosen_now(run_dir, given)


def chosen_now(run_dir: Path, given: Path) -> Path:
    """The configuration that counts now; changes nothing."""
    folder = folder_of(run_dir)
    in_force = _name(folder / IN_FORCE)
    if in_force in ("", GIVEN):
        return given
    try:
        load(_proposal(folder, in_force))
    except ConfigError:
        return given
    return _proposal(folder, in_force)


class Configs:
    """The service process's side.  All methods are quick; they raise Refusal or OSError."""

    def __init__(self, run_dir: Path, in_force: Path) -> None:
        self._folder = folder_of(run_dir)
        self._in_force = in_force
        self._folder.mkdir(parents=True, exist_ok=True)

    def report(self) -> dict[str, Any]:
        """What counts now, at the next start, and what is proposed; names are digests."""
        text = self._in_force.read_text(encoding="utf-8")
        return {
            "in_force": hashlib.sha256(text.encode()).hexdigest()[:16],
            "toml": text,
            "queued": _name(self._folder / QUEUED) or None,
            "proposals": sorted(path.stem for path in self._folder.glob("*.toml")),
        }

    def validate(self, toml: str) -> dict[str, Any]:
        """Check a whole file; raises Refusal naming the key and what it allows."""
        try:
            config = check(tomllib.loads(toml))
            now = load(self._in_force)
        except ConfigError as error:
            raise Refusal("configuration", Blame.INPUT, error.key, str(error.value)[:80],
                          error.allowed, error.remedy) from None  # fmt: skip
        except (ValueError, RecursionError) as error:
            raise Refusal("configuration", Blame.INPUT, "toml", str(error)[:80], "valid TOML",
                          "check it with carm config check") from None  # fmt: skip
        for key, value in config.values.items():
            if key.startswith(LOCAL_ONLY) and value != now[key]:
                raise Refusal("local_only", Blame.INPUT, key, str(value)[:80], str(now[key]),
                              "this key is changed at the board only")  # fmt: skip
        changed = [key for key, value in config.values.items() if value != now[key]]
        return {"ok": True, "changes": sorted(changed)}

    def propose(self, toml: str) -> dict[str, Any]:
        """Check and store."""
        answer = self.validate(toml)
        name = hashlib.sha256(toml.encode()).hexdigest()[:16]
        kept = [path for path in self._folder.glob("*.toml") if path.stem != name]
        if len(kept) >= PROPOSALS_MAX:
            in_use = {_name(self._folder / use) for use in (QUEUED, IN_FORCE, BEFORE)}
            old = [path for path in kept if path.stem not in in_use]
            min(old, key=lambda path: (path.stat().st_mtime_ns, path.stem)).unlink()
        write_whole(_proposal(self._folder, name), toml)
        return {**answer, "proposal": name}

    def queue(self, name: str) -> dict[str, Any]:
        """A proposal counts at the next start."""
        path = _proposal(self._folder, name)
        if not path.exists():
            raise Refusal("no_such_proposal", Blame.INPUT, "proposal", name,
                          ", ".join(self.report()["proposals"]) or "none",
                          "config_propose first")  # fmt: skip
        self.validate(path.read_text(encoding="utf-8"))
        write_whole(self._folder / QUEUED, name + "\n")
        return {"queued": name}

    def roll_back(self) -> dict[str, Any]:
        """Take the queued one back; with none queued, the one before counts at the next start."""
        queued = _name(self._folder / QUEUED)
        if queued:
            (self._folder / QUEUED).unlink()
            return {"taken_back": queued, "queued": None}
        before = _name(self._folder / BEFORE)
        if not before:
            raise Refusal("nothing_before", Blame.INPUT, "config_roll_back", None,
                          "a configuration from afar in force", "none was ever queued")  # fmt: skip
        write_whole(self._folder / QUEUED, before + "\n")
        return {"taken_back": _name(self._folder / IN_FORCE), "queued": before}
