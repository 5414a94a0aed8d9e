"""Fault windows on a machine: what the rig is asked, where effect, end and onset are found."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from controller.cli.clocks.classes import CLASSES
from controller.cli.clocks.looks import Looks
from controller.cli.clocks.processes import STARVED, Starved, state_of
from controller.cli.clocks.strikes import AtBoard, Strike, Wished
from controller.cli.stage import Stage
from hil.room.agenda import CYCLE, PULSE
from hil.room.records import NEVER, TruthRecord
from hil.sim.injection import Window
from hil.sim.means import means_of

MS = 1_000_000
T0 = 1_000_000 * MS
PERIOD = 60 * MS
SET_US = 8_000
SET = Window("F20", "board", "act", "set", 0.0, 47 * MS, 20 * MS)


class Rig:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def inject(self, fault: str, **how: Any) -> None:
        self.asked.append(("inject", fault, how))

    def do(self, act: str, **how: Any) -> None:
        self.asked.append(("do", act, how))

    def clear(self, fault: str) -> None:
        self.asked.append(("clear", fault))


class Machine:
    """As much of a stage as a window needs."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.run_dir = Path("/nowhere")

    def pid(self, name: str) -> int:
        return {"realtime": 1 << 22}[name]


def strike(component: str, kind: str, instance: str = "", **more: Any) -> tuple[Strike, Rig]:
    window = Window("F00", component, kind, instance, 0.0, 500 * MS, 400 * MS, **more)
    machine = Machine()
    made = CLASSES[means_of(window).by](
        cast(Stage, machine), Looks(Path("/nowhere")), window, T0, PERIOD
    )
    made.begin(T0 - 50 * MS)
    return made, machine.rig


def truth(*rows: tuple[float, str, str, Any]) -> list[TruthRecord]:
    return [
        TruthRecord(T0 + round(ms * MS), kind, name, value, 1) for ms, kind, name, value in rows
    ]


LIT = (100.0, "line", "lamp", 1)
TRAIN = [
    LIT,
    *((ms, "line", "pulse", 1) for ms in (400.0, 460.0, 520.0, 580.0)),
    (520.3, "photons_on", "tube", {"set_us": SET_US}), (520.3, "hv", "generator", 1),
    (528.3, "hv", "generator", 0),
]  # fmt: skip


def test_the_rig_keeps_onset_phase_and_duration_of_its_own_faults() -> None:
    made, rig = strike("interlock", "open", "door", phase=0.25, phase_of=CYCLE)
    how = {"target": "door", "amount": 0.0, "after_ms": 550.0, "for_ms": 400.0, "phase": 0.25,
           "phase_of": CYCLE}  # fmt: skip
    assert rig.asked == [("inject", "F08", how)]
    assert made.due_ns == NEVER
    made.end()
    assert rig.asked[-1] == ("clear", "F08")


@pytest.mark.parametrize(
    ("phase", "phase_of", "beam"), [(0.05, CYCLE, True), (0.5, CYCLE, False), (0.9, PULSE, True)]
)
def test_effect_end_and_onset_of_a_fault_of_the_room(
    phase: float, phase_of: str, beam: bool
) -> None:
    made, _ = strike("interlock", "open", "door", phase=phase, phase_of=phase_of)
    rows = [
        *TRAIN,
        (524.0, "fault_on", "F08", {}), (525.0, "fault_on", "F21", {}),
        (924.0, "fault_off", "F08", {}), (930.0, "fault_off", "F08", {}),
    ]  # fmt: skip
    made.reckon(sorted(truth(*rows), key=lambda record: record.t_ns))
    assert (made.effect_ns, made.cleared_ns) == (T0 + 524 * MS, T0 + 924 * MS)
    assert (made.beam_at_onset, made.run_at_onset) == (beam, True)


def test_a_fault_that_was_there_before_is_not_this_window() -> None:
    made, _ = strike("interlock", "open", "door")
    made.reckon(truth((100.0, "fault_on", "F08", {}), (200.0, "fault_off", "F08", {})))
    assert (made.effect_ns, made.cleared_ns, made.run_at_onset) == (0, 0, False)


def test_the_bus_keeps_no_phase_it_comes_as_far_into_the_period() -> None:
    _, rig = strike("bus", "result", "wrong_kv", phase=0.5)
    ((_, fault, how),) = rig.asked
    assert (fault, how["target"], how["after_ms"]) == ("F16", "kv", 550.0 + 30.0)
    assert "phase" not in how


def test_a_foot_goes_down_at_the_phase_and_up_at_the_end() -> None:
    made, rig = strike("pedal", "held", "cine", phase=0.5)
    assert made.due_ns == T0 + 500 * MS
    made.act(made.due_ns)
    assert rig.asked == [("do", "press cine", {"phase": 0.5, "phase_of": CYCLE})]
    made.act(made.due_ns)
    assert rig.asked[-1] == ("do", "release cine", {})
    contacts = [(530.0, 1), (531.0, 0), (532.0, 1), (900.0, 0)]
    made.reckon(truth(LIT, *((ms, "contact", "cine_no", level) for ms, level in contacts)))
    assert (made.effect_ns, made.cleared_ns) == (T0 + 530 * MS, T0 + 900 * MS)


def test_a_signal_counts_only_when_the_kernel_says_that_it_struck() -> None:
    made, rig = strike("process", "killed", "realtime", phase=0.5)
    made.act(made.due_ns)
    assert rig.asked[-1][1].startswith("signal realtime 4194304 KILL")
    marks = truth(LIT, (530.0, "process", "realtime", "kill9"))
    made.reckon(marks)
    assert made.effect_ns == 0
    made.act(made.due_ns)
    made.reckon(marks)
    assert (made.effect_ns, made.run_at_onset) == (T0 + 530 * MS, True)
    assert made.cleared_ns == 0, "nobody has started it again"


def test_a_wish_goes_to_the_desk_of_the_service_process() -> None:
    window = Window("F44", "service", "wish", "dry_run", 0.0, 500 * MS, 10 * MS, 0.5)
    asked: list[tuple[str, dict[str, Any], str]] = []
    looks = Looks(Path("/nowhere/local.sock"))
    looks.act = lambda *words: asked.append(words)  # type: ignore[method-assign]
    made = Wished(cast(Stage, Machine()), looks, window, T0, PERIOD)
    made.begin(T0)
    made.act(made.due_ns)
    wish = {"n": 1, "ask": False, "what": "dry_run", "by": "bench"}
    assert asked == [("window dry_run", wish, "service.sock")]
    looks.answers.append((T0 + 532 * MS, "window dry_run"))
    made.reckon(truth(LIT))
    assert (made.effect_ns, made.cleared_ns) == (T0 + 532 * MS, T0 + 540 * MS)


def test_an_act_counts_from_when_it_was_asked_not_from_its_answer(tmp_path: Path) -> None:
    # A look may see the mode that follows from an act before the act has its answer.
    board = tmp_path / "local.sock"
    looks = Looks(board)
    done_ns = 0

    def desk(server: socket.socket) -> None:
        nonlocal done_ns
        with server.accept()[0] as asked:
            asked.recv(1000)
            done_ns = time.monotonic_ns()
            time.sleep(0.05)
            asked.sendall(b'{"ok": true}\n')

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(board))
        server.listen()
        thread = threading.Thread(target=desk, args=(server,))
        thread.start()
        made = AtBoard(cast(Stage, Machine()), looks, SET, T0, PERIOD)
        made.begin(T0)
        made.act(made.due_ns)
        looks._acts[0].join()
        thread.join()
    made.reckon([])
    assert 0 < made.effect_ns < done_ns


@pytest.fixture
def sleepers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Three processes with nothing to do, as many as are starved."""
    made = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
            for _ in range(3)]  # fmt: skip
    pids = dict(zip(STARVED, (one.pid for one in made), strict=True))
    monkeypatch.setattr(Machine, "pid", lambda _, name: pids[name])
    yield made
    for one in made:
        one.kill()
        one.communicate()


def starved(amount_ms: float) -> Starved:
    window = Window("F31", "machine", "starved", "", amount_ms, 0, 50 * MS)
    made = Starved(cast(Stage, Machine()), Looks(Path("/nowhere")), window, T0, PERIOD)
    made.begin(T0)
    return made


def test_starved_processes_stop_in_bursts_and_all_go_on_at_the_end(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    made = starved(20.0)
    begun_ns = time.monotonic_ns()
    made.act(made.due_ns)
    while not made.effect_ns:
        time.sleep(0.001)
    made.act(made.due_ns)
    assert made.due_ns == NEVER
    assert begun_ns < made.effect_ns < made.cleared_ns
    assert all(state_of(one.pid) not in ("T", "") for one in sleepers)


def test_what_cannot_be_stopped_shows_no_effect(sleepers: list[subprocess.Popen[bytes]]) -> None:
    sleepers[1].kill()
    sleepers[1].wait()
    made = starved(4.0)
    made._burst(4 * MS)
    assert made.effect_ns == 0
    assert all(state_of(sleepers[n].pid) not in ("T", "") for n in (0, 2))


def test_a_stop_that_the_computer_made_longer_spoils_the_case(
    sleepers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, sleep = starved(4.0), time.sleep
    monkeypatch.setattr(time, "sleep", lambda s: sleep(s + 0.02))
    made._burst(4 * MS)
    told = re.match(r"a stop of 4\.0 ms lasted ([0-9.]+) ms", made.spoiled)
    assert told is not None
    assert float(told[1]) >= 24


def test_a_window_that_was_never_begun_ends_without_a_trace(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    made = starved(4.0)
    made.end()
    assert (made.effect_ns, made.cleared_ns, made.spoiled) == (0, 0, "")
