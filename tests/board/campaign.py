"""Many hangs of every kind: `make hangs`, on several boards at once, in slices, resumable.

    SECONDS_MAX=280 BOARDS=2 HANGS=100 make hangs
    KINDS=service,durable make hangs        # these only

Counts are kept in `out/board/hangs.json` (schema `carm.hangs/1`) after every single hang, for one
state of the program: another one begins anew.  A slice ends by its time and the next one goes on.
Exit codes: 0 so many of every kind, all answered in full; 1 one was not; 3 this machine cannot boot
a container; 5 all good so far, but not so many yet.

Lives here: sharing the kinds among boards, and the sums.  May not live here: what a hang is
(`tests.board.hangs`) or how a board is booted (`tests.board.container`).
"""

import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.board import broker, hangs
from tests.board.container import ROOT, WORK, CannotBoot, Container, installed_layer, take_tools
from tests.board.machine import Late, Machine, wait

SUMS: Final = WORK / "hangs.json"
LOCK: Final = WORK / "hangs.lock"
# What runs on a board, and so what a count of hangs is true for.
PROGRAM: Final = ("realtime", "controller", "systemd", ".ci/board.lock")
# How long one takes, from a fresh press to READY again; no slice begins one it cannot end.
TAKES_S: Final = {"durable": 25.0, "service": 20.0}
TAKES_DEFAULT_S: Final = 9.0
UP_MAX_S: Final = 40.0
INCOMPLETE: Final = 5


def fingerprint() -> str:
    """Names the state of the program that is installed on the board."""
    found = hashlib.sha256()
    listed = subprocess.run(["git", "ls-files", "-z", *PROGRAM], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE).stdout.split(b"\0")  # fmt: skip
    for name in sorted(name for name in listed if name):
        path = ROOT / name.decode()
        found.update(name + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return found.hexdigest()[:16]


def fresh(program: str) -> dict[str, Any]:
    """No hang yet."""
    machine = f"{os.uname().machine}, {os.cpu_count()} cores, {os.uname().release}"
    counts = dict.fromkeys(("n", "good", "dark_n", "dark_apart", "beam_apart", "not_struck"), 0)
    empty = {**counts, "restart_s_max": 0.0, "dark_ms_max": None}
    return {"schema": "carm.hangs/1", "program": program, "machine": machine, "boards_max": 0,
            "kinds": {kind: dict(empty, failed=[]) for kind in hangs.KINDS}}  # fmt: skip


@contextmanager
def sums(program: str) -> Iterator[dict[str, Any]]:
    """The sums so far, under a lock; written back at the end."""
    WORK.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = json.loads(SUMS.read_text()) if SUMS.exists() else {}
        found = known if known.get("program") == program else fresh(program)
        yield found
        draft = SUMS.with_suffix(".new")
        draft.write_text(json.dumps(found, indent=2) + "\n")
        draft.replace(SUMS)


def add(row: dict[str, Any], found: dict[str, Any]) -> None:
    """One hang that was followed to its end."""
    row["n"] += 1
    row["restart_s_max"] = max(row["restart_s_max"], round(found["restart_s"], 3))
    if found["dark_ms"] is None:
        row["dark_apart"] += 1
    else:
        row["dark_n"] += 1
        row["dark_ms_max"] = max(row["dark_ms_max"] or 0.0, round(found["dark_ms"], 2))
    row["beam_apart"] += bool(found["beam_apart"])
    if found["wrong"]:
        row["failed"].append(f"#{row['n']}: {', '.join(found['wrong'])}")
    else:
        row["good"] += 1


def next_kind(
    found: dict[str, Any], each: int, left_s: float, turn: int, asked: tuple[str, ...] = hangs.KINDS
) -> str | None:
    """The kind of which there are fewest, beginning somewhere else at every turn."""
    kinds = asked[turn % len(asked) :] + asked[: turn % len(asked)]
    open_ = [kind for kind in kinds if found["kinds"][kind]["n"] < each
             and TAKES_S.get(kind, TAKES_DEFAULT_S) <= left_s]  # fmt: skip
    return min(open_, key=lambda kind: found["kinds"][kind]["n"], default=None)


def played(strike: Callable[[], dict[str, Any]], program: str, kind: str) -> bool:
    """Strike once and keep what came of it; False when nothing could be struck."""
    try:
        found = strike()
    except hangs.NotStruck as why:
        with sums(program) as known:
            known["kinds"][kind]["not_struck"] += 1
        print(f"not struck: {kind}: {why}", flush=True)
        return False
    except (Late, OSError, TimeoutError, AssertionError, ValueError) as error:
        with sums(program) as known:
            row = known["kinds"][kind]
            row["n"] += 1
            row["failed"].append(f"#{row['n']}: {type(error).__name__}: {error}")
        print(f"FAIL {kind}: {error}", flush=True)
        return True
    with sums(program) as known:
        add(known["kinds"][kind], found)
    print(
        f"{kind} {found['restart_s']:.2f} s {found['dark_ms']} ms "
        f"{found['beam_apart'] or found['wrong']}",
        flush=True,
    )
    return True


@contextmanager
def alone() -> Iterator[None]:
    """One board boots at a time: a boot takes every core there is."""
    with LOCK.with_suffix(".boot").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def bring_up(box: Container, machine: Machine) -> None:
    """Board, room and broker, all of them up; raises CannotBoot with what the service said."""
    box.add_room()
    box.boot()
    try:
        machine.start_room()
        broker.set_up(box)
        box.ask("systemctl", "restart", "carm.target")
        wait("the service", lambda: machine.active("carm-service.service"), UP_MAX_S)
        wait("its place at the broker", lambda: broker.has_seen(box), UP_MAX_S)
    except Late as why:
        said = box.journal("carm-service.service").strip()[-600:]
        raise CannotBoot(f"{why}; carm-service: {said}") from None


def board(
    number: int, layer: Path, program: str, each: int, until_s: float, asked: tuple[str, ...]
) -> None:
    """One board, hung again and again; raises CannotBoot."""
    box = Container(f"board{number}", layer)
    try:
        machine = Machine(box)
        with alone():
            bring_up(box, machine)
        turn, missed = number * 2, 0
        while missed <= hangs.UNSTRUCK_MAX:
            with sums(program) as known:
                kind = next_kind(known, each, until_s - time.monotonic(), turn, asked)
            if kind is None:
                return
            turn += 1
            struck = played(partial(hangs.strike, box, machine, kind), program, kind)
            missed = 0 if struck else missed + 1
    finally:
        box.close()


def told(found: dict[str, Any], each: int, asked: tuple[str, ...] = hangs.KINDS) -> int:
    """Print the sums of all kinds; the exit code that those which were asked for mean."""
    for kind, row in found["kinds"].items():
        apart = f", beam apart {row['beam_apart']}" if row["beam_apart"] else ""
        dark = f"dark max {row['dark_ms_max']} ms (n {row['dark_n']}, apart {row['dark_apart']})"
        restart = f"restart max {row['restart_s_max']:.2f} of {hangs.restart_max_s(kind):.2f} s"
        wrong = "; ".join(row["failed"][:3])
        print(f"{kind:<11} {row['good']} of {row['n']}, {restart}, {dark}{apart} {wrong}")
    rows = [found["kinds"][kind] for kind in asked]
    if any(row["failed"] for row in rows):
        return 1
    return 0 if all(row["n"] >= each for row in rows) else INCOMPLETE


def kinds_of(words: str) -> tuple[str, ...]:
    """Kinds with commas between, every one of them where nothing is said; refused otherwise."""
    kinds = tuple(words.split(",")) if words else hangs.KINDS
    if unknown := set(kinds) - set(hangs.KINDS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: no such kind of hang; "
                                         f"there are {', '.join(hangs.KINDS)}")  # fmt: skip
    return kinds


def main() -> int:
    """Boards as processes of their own, because a tracer is a process."""
    parser = argparse.ArgumentParser(prog="hangs")
    parser.add_argument("--seconds", type=float, default=os.environ.get("SECONDS_MAX", "3600"))
    parser.add_argument("--boards", type=int, default=os.environ.get("BOARDS", "2"))
    parser.add_argument("--each", type=int, default=os.environ.get("HANGS", "100"))
    parser.add_argument("--kinds", type=kinds_of, default=os.environ.get("KINDS", ""))
    parser.add_argument("--package", type=Path)
    parser.add_argument("--board", nargs=4, metavar=("NUMBER", "LAYER", "PROGRAM", "UNTIL"))
    asked = parser.parse_args()
    if asked.board:
        number, layer, program, until = asked.board
        try:
            board(int(number), Path(layer), program, asked.each, float(until), asked.kinds)
        except CannotBoot as why:
            print(f"board {number}: {why}", flush=True)
            return 3
        return 0
    until_s, program = time.monotonic() + asked.seconds, fingerprint()
    try:
        take_tools()
        layer = installed_layer(asked.package or _package())
    except CannotBoot as why:
        print(f"not run: {why}")
        return 3
    with sums(program) as known:
        known["boards_max"] = max(known["boards_max"], asked.boards)
    words = [sys.executable, "-m", "tests.board.campaign", "--each", str(asked.each),
             "--kinds", ",".join(asked.kinds), "--board"]  # fmt: skip
    children = [subprocess.Popen([*words, str(number), str(layer), program, str(until_s)], cwd=ROOT)
                for number in range(asked.boards)]  # fmt: skip
    ended = [child.wait() for child in children]
    with sums(program) as known:
        code = told(known, asked.each, asked.kinds)
    return code or max(ended)


def _package() -> Path:
    done = subprocess.run([str(ROOT / ".ci/board"), "deb"], cwd=ROOT, check=True,
                          stdout=subprocess.PIPE, text=True)  # fmt: skip
    return ROOT / done.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
