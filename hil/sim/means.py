"""By what means a fault of the table is made in real time, or why it cannot be.

Lives here: values only: for each component and type the rig's own fault, an act, a signal, or the
reason why real processes are not struck so.  May not live here: making one
(`controller.cli.clocks`).  What is not in a table is refused like what cannot be made: nothing
passes by not having been tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hil.sim.faults import TABLE
from hil.sim.injection import Window


class By(StrEnum):
    """Who makes it."""

    ROOM = "room"
    BUS = "bus"
    ACT = "act"
    SIGNAL = "signal"
    PAUSE = "pause"
    BOARD = "board"
    STORAGE = "storage"
    COUNTER = "counter"
    SECOND = "second"
    WISH = "wish"
    WIRE = "wire"
    BURSTS = "bursts"
    EXCEPTION = "exception"
    SUBSCRIBER = "subscriber"
    COMMAND = "command"
    BROKER = "broker"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Means:
    """`name` and `target` as the one who makes it wants them; `why_not` only with NOBODY."""

    by: By
    name: str = ""
    target: str = ""
    why_not: str = ""

    @property
    def supported(self) -> bool:
        """Real time can make it."""
        return self.by is not By.NOBODY

    def words(self) -> str:
        """For the page."""
        words = {
            By.ROOM: f"`carm rig inject {self.name}`",
            By.BUS: f"`carm rig inject {self.name} --target {self.target}`",
            By.ACT: "`carm rig do`",
            By.SIGNAL: "a signal at the phase; the launcher restarts what was killed",
            By.PAUSE: "SIGSTOP at the phase, SIGCONT after the amount",
            By.BOARD: "the local socket",
            By.STORAGE: "a file-size limit on the supervisor",
            By.COUNTER: "the generator's memory, set before it starts",
            By.SECOND: "a Hello with a newer epoch; at the end the older one is killed",
            By.WISH: "a line on `service.sock`, as the service process writes it",
            By.WIRE: "a relay in the socket",
            By.BURSTS: "all processes but the rig's stopped for up to the amount, again and again",
            By.EXCEPTION: "SIGUSR2 at the phase raises an exception in a process of the bench",
            By.SUBSCRIBER: "a subscriber of the bench: SIGSTOP, SIGKILL, or told to be slow",
            By.COMMAND: "published at the embedded broker with the key of the bench",
            By.BROKER: "the embedded broker is killed (once, or whenever it is back) or stopped",
            By.NOBODY: f"no: {self.why_not}",
        }
        return words[self.by]


def _room(name: str) -> Means:
    return Means(By.ROOM, name)


def _bus(name: str, target: str) -> Means:
    return Means(By.BUS, name, target)


def _no(why_not: str) -> Means:
    return Means(By.NOBODY, why_not=why_not)


# By component and type: what is no fault of the room's own table in both clocks (`Row.room`).
MEANS: Final[Mapping[tuple[str, str], Means]] = {
    ("pedal", "held"): Means(By.ACT),
    ("panel", "foreign_stamps"): _room("F27"),
    ("board", "act"): Means(By.BOARD),
    ("process", "blocked"): Means(By.PAUSE),
    ("supervisor", "blocked"): Means(By.PAUSE),
    ("process", "killed"): Means(By.SIGNAL, "KILL"),
    ("process", "stopped"): Means(By.SIGNAL, "STOP"),
    ("process", "broken"): Means(By.EXCEPTION, "USR2"),
    ("supervisor", "flooded"): _no("its sockets hold less than its inbox while it is away"),
    ("machine", "starved"): Means(By.BURSTS),
    ("service", "wish"): Means(By.WISH),
    ("subscriber", "stopped"): Means(By.SUBSCRIBER),
    ("subscriber", "slow"): Means(By.SUBSCRIBER),
    ("subscriber", "dead"): Means(By.SUBSCRIBER),
    ("generator", "reports"): _no("the rig's generator has no fault of its own to report yet"),
    ("broker", "down"): Means(By.BROKER),
    ("broker", "flapping"): Means(By.BROKER),
    ("broker", "slow"): Means(By.BROKER),
    ("broker", "flood"): _no(
        "the embedded broker takes far less; `python -m bench service_flood` floods a real one"
    ),
    ("wire", "loses"): Means(By.WIRE),
    ("wire", "slow"): Means(By.WIRE),
    ("bus", "silent"): _bus("F17", "bus_off"),
    ("bus", "emergency"): _bus("F17", "emcy"),
    ("bus", "stores_other"): _bus("F16", "stores_lsb"),
    ("storage", "fails"): Means(By.STORAGE),
    ("supervisor", "second"): Means(By.SECOND),
    ("machine", "unpowered"): _no("it would cut the power of the whole computer"),
    ("configuration", "spoiled"): _no(
        "who refuses its file is not started again, and the machine of the case would be gone; "
        "each process is given bad files by `tests/system/test_bad_input.py`"
    ),
    ("clock", "wall_step"): _no("it would step the clock of the whole computer"),
}
RESULTS: Final[Mapping[str, Means]] = {
    "lose_result": _bus("F16", "missing"),
    "wrong_kv": _bus("F16", "kv"),
    "duplicate_result": _bus("F18", "duplicate"),
    "reorder_result": _bus("F18", "reorder"),
}
COMMANDS: Final[Mapping[str, Means]] = {
    "retained": _no(
        "the embedded broker speaks MQTT 3.1.1, which marks as stored only what a new subscriber "
        "is given; `tests/service/test_live.py` has it with a real one"
    ),
}
COUNTERS: Final[Mapping[str, Means]] = {
    "pulse_counter": Means(By.COUNTER),
    "line_seq": _no("the rig numbers its snapshots from 0"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A wire of virtual time in real time: a direction of a socket, and who connects to it."""

    socket: str
    client: str
    to_server: bool


WIRES: Final[Mapping[str, Place]] = {
    "orders": Place("orders.sock", "supervisor", True),
    "reports": Place("orders.sock", "supervisor", False),
    "verdicts": Place("verdicts.sock", "imaging", True),
    "run to imaging": Place("verdicts.sock", "imaging", False),
    "imaging": Place("imaging.sock", "imaging", True),
    "series": Place("imaging.sock", "imaging", False),
}
# The set that is repeated on real processes: each means and each kind of reaction at least once.
REAL_TIME_SET: Final = (
    "F04-release", "F05", "F07", "F08-door", "F08-estop", "F09-estop", "F16-missing", "F20-edit",
    "F21", "F28-realtime-100", "F29-realtime-in-pulse", "F29-supervisor-stopped",
)  # fmt: skip
assert len(REAL_TIME_SET) == 12
# What the head of a scenario may ask of a real machine.
CIRCUMSTANCES: Final = frozenset({"pulse_counter"})


def means_of(window: Window) -> Means:
    """How real time makes a window."""
    place = (window.component, window.type)
    if place == ("bus", "result"):
        return RESULTS[window.instance]
    if place == ("command", "hostile"):
        return COMMANDS.get(window.instance, Means(By.COMMAND))
    if place == ("counter", "wraps"):
        return COUNTERS[window.instance]
    if place in TABLE and TABLE[place].room:
        return _room(TABLE[place].room)
    return MEANS.get(place, _no("nobody has said how"))
