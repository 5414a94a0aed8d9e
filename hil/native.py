"""The deciding code, the room and the referee as machine code, for runs that are many.

Theory of operation.  `mypyc` compiles the very sources that are shipped, in a copy of the three
folders, and a command that is started with that copy first on its path runs on it.  Nothing that is
shipped is ever compiled: board and tests run the interpreter.  A campaign on machine code does its
reruns in the interpreter, from the shipped folders; so equal journals show at every campaign that
compiling changed nothing.

Lives here: which modules are compiled, the copy and its key, and starting a command on it.  May not
live here: what the command does (`hil.sim.campaign`, `hil.explore.commands`).
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NoReturn

import hil

# What takes the time of virtual time.  Not among them: `controller`, whose state an exploration
# pickles; messages and records, which their codec reads as dataclasses; what a scenario takes out.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "realtime": (
        "beam", "correspondence", "cycle", "executive", "exercise", "firing", "inputs",
        "interlocks", "irradiation", "limits", "orders", "outlines", "pedals", "permit", "rest",
        "run", "trips", "turn", "watch",
    ),
    "hil/room": (
        "agenda", "bits", "chain", "contacts", "dosimeter", "frames", "generator", "interlocks",
        "monostable", "outbox", "panel_timing", "room", "rotor", "tube",
    ),
    "hil/sim": (
        "beam_process", "box", "case", "chance", "clockwork", "generator_bus", "horizon",
        "imaging_process", "journal", "light", "lines", "supervisor_process", "wires", "world",
    ),
    "hil/referee": ("referee", "scene", "score", "spans"),
    "hil/referee/invariants": (
        "dead_man", "fail_dark", "fresh_edge", "images", "interlocks", "judge", "one_function",
        "pulse_bounds", "technique", "timers", "window",
    ),
    "hil/explore": (
        "beam", "beam_acts", "beam_eye", "beam_room", "beam_rules", "beam_state", "beam_studies",
        "search",
    ),
}  # fmt: skip
FOLDERS: Final = ("realtime", "controller", "hil")
SHIPPED: Final = "CARM_SHIPPED"
IN_USE: Final = "in-use"
# Below the folder that a command is given in.
FOLDER: Final = Path("out/native")
COMPILER: Final = "cc"
BUILD_MAX_S: Final = 900
RUN_MAX_S: Final = 600
# Speed of the result differs little above it; time to build does.
OPTIMISATION: Final = "1"
_SETTINGS: Final = "[mypy]\nexplicit_package_bases = true\nignore_missing_imports = true\n"
_ROOT: Final = Path(hil.__file__).parents[1]


class NativeUnavailable(Exception):
    """Machine code cannot be had here; the words say why and what would help."""


@functools.cache
def code_id() -> str:
    """What is judged, as a number: everything in the three folders that runs or configures."""
    digest = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".toml", ".json", ".eds"):
                digest.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def modules() -> list[str]:
    """Every compiled source, as a path from the root of the three folders."""
    return [f"{folder}/{name}.py" for folder, names in PARTS.items() for name in names]


def is_native() -> bool:
    """Whether this process runs on machine code."""
    from hil.room import room

    return not room.__file__.endswith(".py")


def missing() -> str:
    """What building needs and this computer lacks, with its remedy; '' where nothing lacks."""
    if shutil.which(COMPILER) is None:
        return "no C compiler; as root: apt-get install gcc libc6-dev"
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        return "no header files of Python; as root: apt-get install python3-dev"
    lacking = [name for name in ("mypyc", "setuptools") if find_spec(name) is None]
    return f"{' and '.join(lacking)} not installed; run: make setup" if lacking else ""


def key() -> str:
    """What a build depends on: every source, the interpreter, the compiler of Python."""
    words = (code_id(), sys.version, metadata.version("mypy"), OPTIMISATION, *modules())
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def build(folder: Path, said: Callable[[str], None]) -> Path:
    """The root of a compiled copy under `folder`, made when there is none of this key.

    Raises NativeUnavailable.  A minute of one core; two callers at once build once.
    """
    if lacking := missing():
        raise NativeUnavailable(lacking)
    with _alone(folder):
        root = folder / key()
        if not root.exists():
            said("compiling to machine code: about a minute, once per change of the code")
            for old in folder.glob("[0-9a-f]*"):
                _remove_unless_in_use(old)
            _compiled(root)
    return root


def _compiled(root: Path) -> None:
    part = root.with_name(f"part-{root.name}")
    shutil.rmtree(part, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(_ROOT / name, part / name, ignore=shutil.ignore_patterns("__pycache__"))
    (part / "mypy.ini").write_text(_SETTINGS)
    settings = {"MYPYC_OPT_LEVEL": OPTIMISATION, "MYPYC_DEBUG_LEVEL": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "mypyc", *modules()], cwd=part, env={**os.environ, **settings},
        capture_output=True, text=True, check=False, timeout=BUILD_MAX_S,
    )  # fmt: skip
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip())[-600:]
        raise NativeUnavailable(f"the sources do not compile: {last}")
    shutil.rmtree(part / "build")
    part.rename(root)


def _remove_unless_in_use(root: Path) -> None:
    with (root / IN_USE).open("a") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        shutil.rmtree(root)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment(root: Path) -> dict[str, str]:
    """The environment in which Python finds the three folders under `root` first."""
    return {**os.environ, "PYTHONPATH": str(root.resolve()), SHIPPED: str(_ROOT)}


def command(*arguments: str) -> list[str]:
    """`carm …` by this interpreter; the folder it is started in is not on its path."""
    return [sys.executable, "-P", "-m", "controller.cli.main", *arguments]


def _marked(root: Path) -> int:
    """A descriptor; as long as it is open nobody clears the code under `root` away."""
    mark = os.open(root / IN_USE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.flock(mark, fcntl.LOCK_SH)
    return mark


@contextmanager
def held(folder: Path, said: Callable[[str], None]) -> Iterator[Path]:
    """A build whose code stays while others build theirs.  Raises NativeUnavailable."""
    root = build(folder, said)
    mark = _marked(root)
    try:
        yield root
    finally:
        os.close(mark)


def go_on(root: Path, arguments: list[str]) -> NoReturn:
    """Replace this process by the same command on machine code.

    The mark of use stays locked for as long as that command lives: nobody clears its code away.
    """
    os.set_inheritable(_marked(root), True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command(*arguments), environment(root))


def shipped(*arguments: str) -> dict[str, Any]:
    """What `carm … --json` says in the interpreter, from the shipped folders; for machine code.

    Raises ValueError when it says nothing that can be read.
    """
    done = subprocess.run(
        command(*arguments, "--json"), env={**os.environ, "PYTHONPATH": os.environ[SHIPPED]},
        capture_output=True, text=True, check=False, timeout=RUN_MAX_S,
    )  # fmt: skip
    if not done.stdout.startswith("{"):
        raise ValueError(f"carm {arguments[0]} in the interpreter: {done.stderr[-200:]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said
