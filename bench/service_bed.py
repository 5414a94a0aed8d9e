"""A real mosquitto, and a whole machine whose service speaks to it.

Lives here: starting and ending both.  May not live here: what is measured on them.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.bed import Bed
from bench.harness import CannotMeasure
from bench.pulses import Log, pulses_of
from controller.cli.stage import SHARED_MEMORY
from tests.service import rooms
from tests.service.bench_folder import write_keys
from tests.service.engineer import Engineer

RATE_PER_S: Final = 30
PERIOD_NS: Final = 1_000_000_000 // RATE_PER_S


def has_mosquitto() -> bool:
    """Whether a broker is installed here."""
    return any(shutil.which("mosquitto", path=path) for path in (None, "/usr/sbin"))


@contextmanager
def real_broker() -> Iterator[rooms.Broker]:
    """A mosquitto on a free port; raises CannotMeasure where there is none."""
    if not has_mosquitto():
        raise CannotMeasure("mosquitto is not installed")
    # In memory, as the stage is: what a disk of this machine costs is not what is measured.
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="carm-broker-", dir=place))
    made = rooms.plain_broker(folder)
    made.start()
    try:
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def echo_ms(who: Engineer, number: int) -> float:
    """The broker alone: a message of ours that comes back to us, ms."""
    topic = "telemetry/echo"
    begun_s = time.monotonic()
    await who.mqtt.publish(f"carm/bench-1/{topic}", f'{{"n": {number}}}'.encode(), 1)
    await who.until(topic, lambda said: (who.newest(topic) or {}).get("n") == number)
    return (time.monotonic() - begun_s) * 1000


class ServiceBed(Bed):
    """A whole machine at 30 pulses/s; `keys` are people's private ones."""

    def __init__(self, port: int) -> None:
        super().__init__(pulses_per_s=f"{RATE_PER_S}.0", broker='"external"', port=str(port),
                         protocol='"5"')  # fmt: skip
        self.keys = write_keys(self.run_dir)

    def segment(self, pulses: int) -> tuple[int, int, int]:
        """So many pulses of beam: (first pulse, last pulse + 1, runs lost)."""
        before = self.hv_count()
        lost = self.shine_for(pulses)
        time.sleep(0.15)
        return before, self.hv_count(), lost

    def log(self) -> Log:
        """Every pulse so far."""
        self.rig.flush()
        return pulses_of(self.run_dir / "truth.jsonl", self.run_dir / "blackbox.ring")
