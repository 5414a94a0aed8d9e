"""Every fault that virtual time can make: component × type × instance, and how it is seen.

Lives here: the table (`TABLE`): what begins, what ends, how the effect is seen; rows of those who
are outside come from `outside_faults`.  May not live here: the life of a window (`injection`), what
must follow (`scenario`), or the room's own faults (`hil.room.faults`), only asked for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from controller.core import service
from controller.core.events import Broken
from controller.core.events import Kind as Act
from hil.room import faults as room_faults
from hil.room.commands import Action, Clear, GeneratorFault, Inject
from hil.sim.outside_faults import OUTSIDE
from hil.sim.rows import MS, Row
from realtime.inputs import Peer
from realtime.wire.linebus import SEQ_MODULUS
from realtime.wire.messages import Hello

if TYPE_CHECKING:
    from hil.sim.world import World

LAST_WORDS_NS: Final = 100_000
# One of its fault bits, as of a tube too hot; what each means is the generator's affair.
OF_ITS_OWN: Final = 1


def _room(number: str, amount: float = 0.0, numbers: tuple[str, ...] = ()) -> Row:
    """A fault of the room's own table."""
    row = room_faults.TABLE[number]

    def begin(world: World, instance: str, amount: float) -> None:
        world.command(Inject(0, number, instance, amount, 0, 0, -1.0, ""))

    def end(world: World, _instance: str) -> None:
        world.command(Clear(0, number))

    return Row(numbers or (number,), row.what, row.targets, amount or row.amount, row.unit, begin,
               end, lambda world, instance: False, number)  # fmt: skip


def _nothing(_world: World, _instance: str) -> None:
    """What was done is done."""


def _foot_down(world: World, instance: str, _amount: float) -> None:
    world.command(Action(0, f"press {instance}", -1.0, ""))


def _foot_up(world: World, instance: str) -> None:
    world.command(Action(0, f"release {instance}", -1.0, ""))


BOARD: Final[dict[str, tuple[Act, dict[str, str | float]]]] = {
    "reset": (Act.RESET, {}), "ready": (Act.READY, {}), "self_test": (Act.SELF_TEST, {}),
    "select": (Act.SELECT, {"cine_mode": "cine"}), "set": (Act.SET, {"kv": 80.0}),
    "reset_timer": (Act.RESET_TIMER, {}),
}  # fmt: skip


def _board(world: World, instance: str, _amount: float) -> None:
    do, arguments = BOARD[instance]
    world.supervisor.ask(do, instance, arguments)


def _answers(world: World, _instance: str) -> int:
    return world.supervisor.answered


def _wish(world: World, instance: str, _amount: float) -> None:
    world.supervisor.wish(instance)


def _block(world: World, instance: str, amount: float) -> None:
    process = world.realtime if instance == "realtime" else world.supervisor
    if process.alive and not process.stopped:
        process.block(round(amount * MS))
        world.blocks += 1


def _kill(world: World, instance: str, _amount: float) -> None:
    world.kill(instance)


def _restart(world: World, instance: str) -> None:
    world.restart(instance)


def _stop(world: World, instance: str, _amount: float) -> None:
    world.mark("process", instance, "sigstop")
    world.process(instance).stop()


def _cont(world: World, instance: str) -> None:
    process = world.process(instance)
    if process.stopped:
        world.mark("process", instance, "sigcont")
        process.cont()


def _is_stopped(world: World, instance: str) -> bool:
    return world.process(instance).stopped


def _break(world: World, instance: str, _amount: float) -> None:
    if instance == "supervisor":
        world.supervisor.put(Broken("an exception, by the bench"))
    elif instance == "imaging":
        world.kill(instance)
    elif world.realtime.alive:
        # What it still does of its own accord, and then its sockets close.
        world.mark("process", instance, "crash")
        world.realtime.fail()
        world.after(LAST_WORDS_NS, world.ended, instance)


def _flood(world: World, _instance: str, amount: float) -> None:
    """More events than its inbox holds, while the main step is away."""
    world.supervisor.block(round(amount * MS))
    world.supervisor.flood()


def _ended(world: World, _instance: str) -> bool:
    return world.supervisor.exit_code is not None


def _supervisor_back(world: World, _instance: str) -> None:
    world.restart("supervisor")


def _starve(world: World, _instance: str, amount: float) -> None:
    world.starvation.starve(round(amount * MS))


def _feed(world: World, _instance: str) -> None:
    world.starvation.starve(0)


def _cut_power(world: World, _instance: str, _amount: float) -> None:
    """The board's supply is gone, with whatever is written only to tmpfs."""
    # All at once: nobody takes a step because another one is gone.
    for name in ("supervisor", "imaging", "realtime"):
        world.kill(name)
    world.box.lose_power()


def _power_on(world: World, _instance: str) -> None:
    for name in PROCESSES:
        world.restart(name)


def _lose(world: World, instance: str, amount: float) -> None:
    world.wire(instance).lose = max(1, int(amount))


def _lose_end(world: World, instance: str) -> None:
    world.wire(instance).lose = 0


def _slow(world: World, instance: str, amount: float) -> None:
    world.wire(instance).extra_ns = round(amount * MS)


def _slow_end(world: World, instance: str) -> None:
    world.wire(instance).extra_ns = 0


def _silence(world: World, _instance: str, _amount: float) -> None:
    world.bus.fall_silent()


def _speak(world: World, _instance: str) -> None:
    world.bus.speak_again()


def _emergency(world: World, _instance: str, _amount: float) -> None:
    world.bus.spoil()
    world.bus.emergency(0x5000)


def _spoil(world: World, instance: str, _amount: float) -> None:
    world.bus.result_fault = instance


def _spoil_end(world: World, _instance: str) -> None:
    world.bus.result_fault = ""


def _store_other(world: World, _instance: str, amount: float) -> None:
    world.bus.stores_other = max(1, int(amount))


def _store_right(world: World, _instance: str) -> None:
    world.bus.stores_other = 0


def _spoiled(world: World, _instance: str) -> int:
    return world.bus.spoiled


def _report_fault(world: World, _instance: str, _amount: float) -> None:
    """It takes no further pulse, and says so by its line and its status."""
    world.command(GeneratorFault(0, OF_ITS_OWN))
    world.bus.watch()


def _report_none(world: World, _instance: str) -> None:
    world.command(GeneratorFault(0, 0))
    world.bus.watch()


def _foreign(world: World, _instance: str, amount: float) -> None:
    world.foreign_shift_ns = round(amount * MS)


def _foreign_end(world: World, _instance: str) -> None:
    world.foreign_shift_ns = 0


def _storage(world: World, _instance: str, _amount: float) -> None:
    world.supervisor.storage_fails = True
    world.supervisor.box_grew()


def _storage_end(world: World, _instance: str) -> None:
    world.supervisor.storage_fails = False
    world.supervisor.box_grew()


def _second(world: World, _instance: str, _amount: float) -> None:
    """A newer supervisor takes the place: the older one's connection is closed."""
    world.ended("supervisor", place_only=True)
    world.realtime.letter(Peer.SUPERVISOR, None, link_up=True)
    world.realtime.letter(
        Peer.SUPERVISOR, Hello("supervisor", world.supervisor.epoch + 1, 9, 0, "")
    )


def _second_gone(world: World, _instance: str) -> None:
    """It leaves; the older one stays fenced until it is started anew."""
    world.realtime.letter(Peer.SUPERVISOR, None, link_up=False)
    world.kill("supervisor")
    world.restart("supervisor")


def _fenced(world: World, _instance: str) -> bool:
    return world.realtime.executive.book.epoch > world.supervisor.epoch


def _wall(world: World, _instance: str, _amount: float) -> None:
    world.lines.step_wall_clock()


def _wrapped(world: World, instance: str) -> bool:
    start = world.circumstances
    if instance == "line_seq":
        return world.lines.seq < start.line_seq % SEQ_MODULUS
    return world.bus.counter() < start.pulse_counter


WISHES: Final = tuple(sorted(service.WISHES))
PROCESSES: Final = ("realtime", "supervisor", "imaging")
WIRES: Final = ("orders", "reports", "verdicts", "series", "imaging", "run to imaging")
RESULT_FAULTS: Final = ("lose_result", "wrong_kv", "duplicate_result", "reorder_result")
WITHIN: Final[dict[tuple[str, str], Row]] = {
    ("pedal", "stuck"): _room("F01"),
    ("pedal", "bounce"): _room("F04"),
    ("pedal", "unplugged"): _room("F05"),
    ("pedal", "crossed"): _room("F07"),
    ("pedal", "held"): Row(
        ("F02", "F03"), "a foot presses", ("fluoro", "high", "cine"), 0.0, "",
        _foot_down, _foot_up, lambda world, name: world.room.pedals[name].no,
    ),
    ("lines", "lose"): _room("F06"),
    ("lines", "silent"): _room("F10"),
    ("interlock", "open"): _room("F08"),
    ("interlock", "flicker"): _room("F09"),
    ("generator", "ignores_off"): _room("F13"),
    ("generator", "overruns"): _room("F14"),
    ("generator", "fires"): _room("F15"),
    ("generator", "reports"): Row(
        ("F17",), "the generator reports a fault of its own and takes no further pulse", ("",), 0.0,
        "", _report_fault, _report_none, lambda world, _: bool(world.room.generator.fault_bits),
    ),
    ("panel", "blind"): _room("F21"),
    ("panel", "frame_lost"): _room("F22"),
    ("panel", "drift"): _room("F23"),
    ("panel", "frame_spoiled"): _room("F24"),
    ("panel", "foreign_stamps"): Row(
        ("F27",), "frames carry the stamps of another pulse", ("",), 66.0, "ms",
        _foreign, _foreign_end, lambda world, _: world.foreign_frames,
    ),
    ("signal", "mute"): _room("F38"),
    ("hardware", "welded"): _room("F46"),
    ("board", "act"): Row(
        ("F12", "F20"), "somebody at the board acts", tuple(BOARD), 0.0, "",
        _board, _nothing, _answers,
    ),
    ("service", "wish"): Row(
        ("F44",), "a verified wish of the network", WISHES, 0.0, "", _wish, _nothing, _answers,
    ),
    ("process", "blocked"): Row(
        ("F28", "F31"), "the loop is away", ("realtime",), 30.0, "ms",
        _block, _nothing, lambda world, _: world.blocks,
    ),
    ("supervisor", "blocked"): Row(
        ("F31",), "the main step is away", ("supervisor",), 100.0, "ms",
        _block, _nothing, lambda world, _: world.blocks,
    ),
    ("process", "killed"): Row(
        ("F26", "F29"), "SIGKILL; the end of the window is its restart", PROCESSES, 0.0, "",
        _kill, _restart, lambda world, name: not world.process(name).alive,
    ),
    ("process", "stopped"): Row(
        ("F26", "F29"), "SIGSTOP; the end of the window is SIGCONT", PROCESSES, 0.0, "",
        _stop, _cont, _is_stopped,
    ),
    ("process", "broken"): Row(
        ("F30",), "an exception ends it; the end of the window is its restart", PROCESSES, 0.0, "",
        _break, _restart, lambda world, name: not world.process(name).alive,
    ),
    ("supervisor", "flooded"): Row(
        ("F30",), "its inbox fills while the main step is away; the end is its restart", ("",),
        5.0, "ms", _flood, _supervisor_back, _ended,
    ),
    ("machine", "starved"): Row(
        ("F31",), "every process waits for the processor, up to this long", ("",), 4.0, "ms",
        _starve, _feed, lambda world, _: world.starvation.waits,
    ),
    ("machine", "unpowered"): Row(
        ("F41",), "the board's power is cut; the end of the window is its return", ("",), 0.0, "",
        _cut_power, _power_on, lambda world, _: not world.realtime.alive,
    ),
    ("wire", "loses"): Row(
        ("F18", "F31"), "messages are lost", WIRES, 1.0, "messages",
        _lose, _lose_end, lambda world, name: world.wire(name).lost,
    ),
    ("wire", "slow"): Row(
        ("F18", "F31"), "messages take longer", WIRES, 50.0, "ms",
        _slow, _slow_end, lambda world, name: world.wire(name).slowed,
    ),
    ("bus", "silent"): Row(
        ("F17",), "no heartbeat, no answer", ("",), 0.0, "",
        _silence, _speak, lambda world, _: world.bus.silent,
    ),
    ("bus", "emergency"): Row(
        ("F17",), "an emergency message", ("",), 0.0, "", _emergency, _nothing, _spoiled,
    ),
    ("bus", "result"): Row(
        ("F16", "F18"), "results go wrong", RESULT_FAULTS, 0.0, "", _spoil, _spoil_end, _spoiled,
    ),
    ("bus", "stores_other"): Row(
        ("F16", "F20"), "a bank stores another voltage, so many steps off", ("",), 1.0, "0.1 kV",
        _store_other, _store_right, _spoiled,
    ),
    ("storage", "fails"): Row(
        ("F40",), "the durable copy cannot be written", ("",), 0.0, "",
        _storage, _storage_end, lambda world, _: world.supervisor.storage_failed,
    ),
    ("supervisor", "second"): Row(
        ("F45",), "a newer supervisor takes the place", ("",), 0.0, "",
        _second, _second_gone, _fenced,
    ),
    ("clock", "wall_step"): Row(
        ("F36",), "the wall clock steps between two turns", ("",), 0.0, "",
        _wall, _nothing, lambda world, _: world.lines.wall_steps,
    ),
    ("counter", "wraps"): Row(
        ("F37",), "a counter passes its end (set near it in circumstances)",
        ("line_seq", "pulse_counter"), 0.0, "", lambda *_: None, _nothing, _wrapped,
    ),
}  # fmt: skip
TABLE: Final = WITHIN | OUTSIDE
