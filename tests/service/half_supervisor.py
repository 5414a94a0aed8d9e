"""The supervisor's real core and desks as a process, with lines said on its standard input.

Lives here: a stand-in for realtime's reports only; sessions, wishes, `local.sock` and
`service.sock` are the real ones.  May not live here: a decision.  Lines: `rest`, `pedal`, `beam`,
`fault`; everything else is what a resting machine looks like.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path

from controller.core.condition import Core
from controller.core.events import EndProcess, Event, ExecutiveUp, FromExecutive, Log, Reply
from controller.core.faults import Held
from controller.core.machine import Machine
from controller.core.modes import Mode
from controller.core.service import picture, visible
from controller.core.technique import from_config
from controller.supervisor.links import listen
from controller.supervisor.local import LocalDesk
from controller.supervisor.service_desk import ServiceDesk
from realtime.wire.config import load
from realtime.wire.lines import INTERLOCKS, NC_CONTACTS, In
from realtime.wire.messages import Hello, State

EPOCH = 7
REST = INTERLOCKS | NC_CONTACTS
LINES = {"rest": REST, "pedal": REST | 1 << In.FLUORO_NO, "beam": REST | 1 << In.XRAY_ON}


class Half:
    """One machine, two desks, one reporter."""

    def __init__(self, config: Path, run_dir: Path, pid: int) -> None:
        read = load(config)
        core = Core(read, EPOCH, from_config(read))
        self.machine = Machine(core)
        self.run_dir = run_dir
        self.lines = REST
        self.machine.step(ExecutiveUp(Hello("realtime", 1, pid, 0, "")), time.monotonic_ns())
        core.mode = Mode.STANDBY
        self.local = LocalDesk(self.put)
        self.service = ServiceDesk(self.put, partial(visible, core), partial(picture, core))

    def put(self, event: Event) -> None:
        for command in self.machine.step(event, time.monotonic_ns()):
            if isinstance(command, Reply):
                desk = self.local if command.token > 0 else self.service
                desk.answer(command.token, command.body)
            elif isinstance(command, EndProcess):
                os.kill(command.pid, signal.SIGTERM)
            elif isinstance(command, Log):
                sys.stdout.write(f"{command.what} {json.dumps(dict(command.fields))}\n")
                sys.stdout.flush()
        self.service.stir(time.monotonic_ns())

    def report(self) -> None:
        now_ns = time.monotonic_ns()
        self.put(FromExecutive(State(
            t_ns=now_ns, realtime_epoch=1, beam="dark", run_id=0, lines_in=self.lines, lines_out=0,
            link=True, trips=[], inhibits=[], released_ns=now_ns, pulses=0, skipped=0,
            irradiation_ms=0, late_max_ns=0, late_turns=0, late_cause="", black_box_unread=0,
            black_box_capacity=32_768,
        )))  # fmt: skip
        asyncio.get_running_loop().call_later(0.05, self.report)

    def told(self) -> None:
        word = sys.stdin.readline().strip()
        if word in LINES:
            self.lines = LINES[word]
        elif word == "fault":
            core = self.machine.core
            core.faults = (Held("generator_lost", "three missed", time.monotonic_ns()),)
            core.mode = Mode.FAULT
        elif not word:
            asyncio.get_running_loop().stop()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin, self.told)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, loop.stop)
        self.report()
        async with asyncio.TaskGroup() as group:
            for desk, name in ((self.local, "local.sock"), (self.service, "service.sock")):
                group.create_task(desk.serve(listen(self.run_dir / name, socket.SOCK_STREAM)))


def main() -> None:
    config, run_dir, pid = sys.argv[1:]
    try:
        asyncio.run(Half(Path(config), Path(run_dir), int(pid)).serve())
    except RuntimeError:
        # The loop was stopped: that is how this process ends.
        return


if __name__ == "__main__":
    main()
