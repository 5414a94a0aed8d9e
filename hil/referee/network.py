"""Invariant 14, remote never radiates: recorded MQTT traffic against the truth of the room.

Lives here: what must not follow a command (X-rays without a foot, PERMIT in a dry run, a mode
nearer to X-rays), and commands that had to be refused (F43, F44).  May not live here: what a
command means; by the wire, whoever says `accepted` acts, and whoever answers at once only told.
"""

from __future__ import annotations

import bisect
from collections import Counter
from typing import Final

from hil.referee.crosscheck import Check, Row
from hil.referee.mqttlog import Command, Recording
from hil.referee.scene import PEDALS, Pedal
from hil.referee.truth import Truth

MS: Final = 1_000_000
# A foot that has just left is invariant 1's; longer ago, nobody asked for this beam.
FOOT_NS: Final = 20 * MS
# After this long nobody would say that the command did it.
CONSEQUENCE_NS: Final = 2_000 * MS
# The service process looks ten times a second, realtime reports twenty times, and a message of
# either needs its way: a pedal younger than this may honestly not be known.
KNOWN_NS: Final = 300 * MS
# A command that is at work no longer than this had no time for somebody else's act beside it.
ALONE_NS: Final = 1_000 * MS
CLOCK_SLACK_MS: Final = 50
DISTANCE: Final = {
    "SHUTDOWN": 0, "FAULT": 0, "BOOT": 0, "SELF_TEST": 0, "STANDBY": 1, "READY": 2, "HOLD": 2,
    "PREP": 3, "EXPOSING": 4,
}  # fmt: skip
DRY_RUN: Final = "dry_run"


def must_be_refused(command: Command, device: str) -> str | None:
    """What is wrong with a command by itself, if anything is; questions need no signature."""
    body = command.body
    if command.retain:
        return "it was retained"
    if not body:
        return "it is no command"
    if body.get("command") != command.name:
        return "it names another command than its topic"
    if body.get("device") != device:
        return "it is for another device"
    if command.epoch is not None and body.get("epoch") != command.epoch:
        return f"its epoch is not {command.epoch}"
    expires_ms, begins_ms = body.get("expires_ms"), body.get("not_before_ms", 0)
    if type(expires_ms) is not int or command.t_ms > expires_ms + CLOCK_SLACK_MS:
        return "it had expired"
    if type(begins_ms) is not int or command.t_ms < begins_ms - CLOCK_SLACK_MS:
        return "it was not yet valid"
    return None


class Network(Check):
    """Judges a recording beside the truth; memory grows with the recording, not with the truth."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._arrivals = [one.t_ns for one in recording.commands]
        self._senders = Counter(one.id for one in recording.commands)
        self._pedals = {name: Pedal() for name in PEDALS}
        self._down = False
        self._let_go_ns: int | None = None
        self._presses: list[tuple[int, int]] = []
        self._last_ns = 0
        self._beam, self._rise = Row("network_no_beam"), Row("network_no_rise")
        self._dry = Row("network_dry_run")
        self._refused, self._once = Row("network_refused"), Row("network_once")
        self._busy = Row("network_only_dark")
        self._dry_runs = [
            (one.replies[0].t_ns, one.replies[-1].t_ns)
            for one in recording.commands
            if one.name == DRY_RUN and any(reply.result == "done" for reply in one.replies)
        ]
        for start_ns, _ in self._dry_runs:
            self._dry.saw(start_ns)

    # ── the room ─────────────────────────────────────────────────────────────────────────────

    def take(self, record: Truth) -> None:
        """Contacts, the beam and PERMIT."""
        self._last_ns = record.t_ns
        if record.kind == "contact":
            self._contact(record)
        elif record.kind == "hv" and record.value:
            self._shone(record)
        elif record.kind == "line" and record.name == "permit" and self._dry_at(record.t_ns):
            self._dry.saw(record.t_ns, f"{record.t_ns}: PERMIT moves during a dry run")

    def _dry_at(self, t_ns: int) -> bool:
        return any(start <= t_ns <= end for start, end in self._dry_runs)

    def _contact(self, record: Truth) -> None:
        pedal, _, contact = record.name.rpartition("_")
        if pedal not in self._pedals:
            return
        self._pedals[pedal].put(record.t_ns, contact, record.value)
        down = any(one.pressed.now for one in self._pedals.values())
        if down and not self._down:
            self._presses.append((record.t_ns, 0))
        elif self._down and not down:
            self._let_go_ns = record.t_ns
            self._presses[-1] = (self._presses[-1][0], record.t_ns)
        self._down = down

    def _shone(self, record: Truth) -> None:
        let_go_ns = self._let_go_ns
        foot = self._down or (let_go_ns is not None and record.t_ns - let_go_ns <= FOOT_NS)
        place = bisect.bisect_right(self._arrivals, record.t_ns) - 1
        if foot or place < 0 or record.t_ns - self._arrivals[place] > CONSEQUENCE_NS:
            return
        command = self.recording.commands[place]
        after_ms = (record.t_ns - command.t_ns) // MS
        self._beam.saw(record.t_ns, f"{record.t_ns}: pulse {record.pulse_id} without a foot, "
                       f"{after_ms} ms after {command.name}")  # fmt: skip

    # ── the traffic ──────────────────────────────────────────────────────────────────────────

    def rows(self) -> list[dict[str, object]]:
        """The rows, once both have ended."""
        for command in self.recording.commands:
            self._beam.saw(command.t_ns)
            self._judge(command)
        self._sessions()
        self._executions()
        rows = (self._beam, self._rise, self._dry, self._refused, self._once, self._busy)
        return [row.row() for row in rows]

    def _judge(self, command: Command) -> None:
        done = [one for one in command.replies if one.result != "refused"]
        wrong = must_be_refused(command, self.recording.device)
        if wrong is None and not command.signed and any(r.result == "accepted" for r in done):
            wrong = "nobody had signed it"
        # Where several share an id, `network_once` counts what became of them together.
        if wrong is not None and self._senders[command.id] == 1:
            taken = f"{command.t_ns}: {command.name} was taken, although {wrong}" if done else None
            self._refused.saw(command.t_ns, taken)
        accepted = [one for one in done if one.result == "accepted"]
        if self._pressed_throughout(command):
            told = f"{command.t_ns}: {command.name} was taken with a pedal down"
            self._busy.saw(command.t_ns, told if accepted else None)
        ended = [one for one in command.replies if one.result == "done"]
        if accepted and ended and not any(one.chunk for one in command.replies):
            self._risen(command, ended[-1].t_ns)

    def _pressed_throughout(self, command: Command) -> bool:
        """A pedal that had been down for long enough to be known, and was when it was answered."""
        place = bisect.bisect_right(self._presses, (command.t_ns, 1 << 63)) - 1
        if place < 0:
            return False
        start_ns, end_ns = self._presses[place]
        answered_ns = command.replies[0].t_ns if command.replies else command.t_ns
        return command.t_ns - start_ns > KNOWN_NS and (end_ns or self._last_ns) > answered_ns

    def _risen(self, command: Command, ended_ns: int) -> None:
        if ended_ns - command.t_ns > ALONE_NS and command.name != DRY_RUN:
            return
        before, after = self._mode(command.t_ns), self._mode(ended_ns + KNOWN_NS)
        if before is None or after is None:
            return
        rose = DISTANCE.get(after, 5) > DISTANCE.get(before, 0)
        told = f"{command.t_ns}: {before} became {after} by {command.name}" if rose else None
        self._rise.saw(command.t_ns, told)

    def _mode(self, t_ns: int) -> str | None:
        place = bisect.bisect_right(self.recording.modes, (t_ns, "\uffff")) - 1
        return self.recording.modes[place][1] if place >= 0 else None

    def _sessions(self) -> None:
        """While somebody repairs, nobody is ready to examine."""
        opened_ns: int | None = None
        for t_ns, is_open in [*self.recording.sessions, (1 << 62, False)]:
            if opened_ns is not None and not is_open:
                since_ns = opened_ns + KNOWN_NS
                above = [(at, mode) for at, mode in self.recording.modes
                         if since_ns <= at < t_ns and DISTANCE.get(mode, 5) > 1]  # fmt: skip
                self._rise.saw(opened_ns, f"{above[0][0]}: {above[0][1]} in a service session"
                               if above else None)  # fmt: skip
            opened_ns = (opened_ns or t_ns) if is_open else None

    def _executions(self) -> None:
        """One id, one execution, however often it came."""
        for id_ in self._senders:
            replies = self.recording.replies.get(id_, [])
            done = [one for one in replies if one.result == "done"]
            if done or any(one.result == "accepted" for one in replies):
                told = f"{done[-1].t_ns}: {id_} ran {len(done)} times" if len(done) > 1 else None
                self._once.saw(done[-1].t_ns if done else replies[0].t_ns, told)
