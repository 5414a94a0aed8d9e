"""`carm first-light`: lines of real hardware on a scope, while PERMIT is held low.

Lives here: starting realtime alone and inhibited, its one partner, and the steps asked for again
and again.  May not live here: a line, or the right to raise one; realtime's last gate refuses every
edge of PERMIT in this mode, and PULSE rises only with every pedal up, the chain open, PERMIT_OK and
XRAY_ON low (`realtime.exercise`, `realtime.permit`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from controller.cli.answer import JUDGED_BAD, refusal, refuse, show
from controller.cli.machine import checked
from realtime.wire.codec import pack, unpack
from realtime.wire.lines import In, Out, mask
from realtime.wire.messages import (
    MESSAGE_BYTES_MAX,
    Exercise,
    Exercised,
    ExerciseResult,
    Hello,
    Message,
    State,
)

STEPS: Final = {
    "lines": Exercise.PEDALS, "chain": Exercise.CHAIN, "tone-lamp": Exercise.TONE_LAMP,
    "panel": Exercise.PANEL_DARK, "pulse": Exercise.WINDOW_GATE,
}  # fmt: skip
ANSWER_MAX_S: Final = 5.0
START_MAX_S: Final = 10.0
EPOCH: Final = 1
PEDALS_MOVE: Final = "pedals_not_released"
_ENERGY: Final = {"PERMIT_OK is high": In.PERMIT_OK, "XRAY_ON is high": In.XRAY_ON,
                  "CHAIN_OK reads closed": In.CHAIN_OK}  # fmt: skip


class Partner:
    """The one that realtime talks to instead of a supervisor."""

    def __init__(self, path: Path, device: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER_MAX_S)
        until_s = time.monotonic() + START_MAX_S
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError:
                if time.monotonic() > until_s:
                    self._socket.close()
                    raise
                time.sleep(0.05)
        self._socket.send(pack(Hello("supervisor", EPOCH, os.getpid(), 0, device)))
        self.permit_seen_high = False

    def hear(self) -> Message:
        """The next message; raises OSError after ANSWER_MAX_S or at the end."""
        raw = self._socket.recv(MESSAGE_BYTES_MAX + 1)
        if not raw:
            raise ConnectionResetError("realtime has ended; see its log above")
        message = unpack(raw)
        if isinstance(message, State) and message.lines_out & mask(Out.PERMIT):
            self.permit_seen_high = True
        return message

    def state(self) -> State:
        """The next state."""
        while not isinstance(message := self.hear(), State):
            pass
        return message

    def exercise(self, number: int, what: Exercise) -> ExerciseResult:
        """One step and its result."""
        self._socket.send(pack(Exercised(EPOCH, number, what)))
        while not isinstance(message := self.hear(), ExerciseResult):
            pass
        return message

    def close(self) -> None:
        """Go."""
        self._socket.close()


@contextmanager
def _realtime(config: Path, run_dir: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "realtime", "--config", str(config), "--run-dir",
               str(run_dir), "--inhibited"]  # fmt: skip
    process = subprocess.Popen(command, stdout=sys.stderr)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _precondition(state: State, as_json: bool) -> None:
    """Nothing begins while one of the three reads as if something could shine."""
    wrong = "" if state.link else "the lines are not fresh"
    for words, line in _ENERGY.items():
        if state.link and state.lines_in & mask(line):
            wrong = wrong or words
    if wrong:
        refuse(refusal("first_light", "machine", "lines", wrong,
                       "lines fresh; PERMIT_OK, XRAY_ON and CHAIN_OK low",
                       "stop here; docs/commissioning.md, step 3"), as_json)  # fmt: skip


def _settled(state: State) -> bool:
    """The lines are there and every pedal has been seen up for long enough."""
    return state.link and PEDALS_MOVE not in state.inhibits


def run(run_dir: Path, config: Path, step: str, repeat: int, every_s: float, as_json: bool) -> int:
    """Start realtime inhibited, do `step` again and again, end it; 1 when a step went wrong."""
    device = checked(config, as_json)["device"]
    if step not in STEPS:
        refuse(refusal("step", "input", "step", step, ", ".join(STEPS), "choose one"), as_json)
    run_dir.mkdir(parents=True, exist_ok=True)
    if (run_dir / "local.sock").exists():
        refuse(refusal("already_up", "machine", "run_dir", str(run_dir), "no supervisor there",
                       "carm down, or systemctl stop carm.target"), as_json)  # fmt: skip
    with _realtime(config, run_dir):
        body = _steps(run_dir, device, step, repeat, every_s, as_json)
    show(body, as_json, _words(body))
    good = not body["failed"] and not body["permit_seen_high"]
    return 0 if good else JUDGED_BAD


def _steps(
    run_dir: Path, device: str, step: str, repeat: int, every_s: float, as_json: bool
) -> dict[str, Any]:
    results: list[ExerciseResult] = []
    partner: Partner | None = None
    try:
        partner = Partner(run_dir / "orders.sock", device)
        until_s = time.monotonic() + ANSWER_MAX_S
        while not _settled(state := partner.state()) and time.monotonic() < until_s:
            pass
        _precondition(state, as_json)
        for number in range(1, repeat + 1):
            results.append(partner.exercise(number, STEPS[step]))
            sys.stderr.write(f"{number}: {'ok' if results[-1].ok else results[-1].detail}\n")
            _precondition(partner.state(), as_json)
            time.sleep(every_s)
    except OSError as error:
        refuse(refusal("no_answer", "machine", "realtime", str(error), "an answer",
                       "see what realtime says above"), as_json)  # fmt: skip
    finally:
        if partner is not None:
            partner.close()
    failed = sorted({result.detail for result in results if not result.ok})
    return {"schema": "carm.first_light/1", "step": step, "done": len(results), "failed": failed,
            "values": [result.value for result in results][-100:],
            "unit": results[-1].unit if results else "",
            "permit_seen_high": partner.permit_seen_high}  # fmt: skip


def _words(body: dict[str, Any]) -> str:
    verdict = "; ".join(body["failed"]) or "all good"
    permit = "PERMIT WAS HIGH" if body["permit_seen_high"] else "PERMIT at rest all the time"
    return f"{body['step']}: {body['done']} times, {verdict}; {permit}"
