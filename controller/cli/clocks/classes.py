"""Which class makes a fault window, for each means of real time.

Lives here: the table.  May not live here: a class (`strikes`, `processes`, `between`, `outsiders`).
"""

from __future__ import annotations

from typing import Final

from controller.cli.clocks.between import OnWire
from controller.cli.clocks.outsiders import Hostile, OnBroker, OnSubscriber
from controller.cli.clocks.processes import Paused, Second, Signalled, Starved
from controller.cli.clocks.strikes import (
    AtBoard,
    Foot,
    Injected,
    NoStorage,
    OnBus,
    Strike,
    Wished,
    Wrapped,
)
from hil.sim.means import By

CLASSES: Final[dict[By, type[Strike]]] = {
    By.ROOM: Injected, By.BUS: OnBus, By.ACT: Foot, By.SIGNAL: Signalled, By.PAUSE: Paused,
    By.BOARD: AtBoard, By.STORAGE: NoStorage, By.COUNTER: Wrapped, By.SECOND: Second,
    By.WISH: Wished, By.WIRE: OnWire, By.BURSTS: Starved,
    By.EXCEPTION: Signalled, By.SUBSCRIBER: OnSubscriber, By.COMMAND: Hostile,
    By.BROKER: OnBroker,
}  # fmt: skip
assert set(CLASSES) == set(By) - {By.NOBODY}
