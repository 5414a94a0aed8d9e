"""`carm`: the table of commands.

Lives here: names, options and help of every command; bodies import their subject when called, so
that `carm --help` is quick.  May not live here: work.  A command whose subject is not installed is
absent, not a stub.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from copy import copy
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException
from typer.models import CommandInfo

app = typer.Typer(
    name="carm", no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False,
    rich_markup_mode=None,  # loading Rich for a help text would cost more than all the rest
    help="Supervisor of a mobile C-arm: the machine, its room, its judges.",
)  # fmt: skip
config_app = typer.Typer(no_args_is_help=True, help="The configuration file.")
blackbox_app = typer.Typer(no_args_is_help=True, help="The record of every pulse.")
app.add_typer(config_app, name="config")
app.add_typer(blackbox_app, name="blackbox")

RunDir = Annotated[
    Path, typer.Option("--run-dir", envvar="CARM_RUN_DIR", help="directory of this instance")
]
MaybeRunDir = Annotated[Path | None, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="TOML; default: the bench")]
Inhibited = Annotated[bool, typer.Option("--inhibited", help="PERMIT is held low")]


def leave(code: int) -> None:
    """End the command with an exit code."""
    raise typer.Exit(code)


def _config(path: Path | None) -> Path:
    from controller.cli.machine import BENCH

    return path if path is not None else BENCH


@app.command()
def up(
    run_dir: RunDir, config: ConfigFile = None, foreground: bool = False,
    inhibited: Inhibited = False, json: Json = False,
) -> None:  # fmt: skip
    """Start everything with the rig and tell where it answers."""
    from controller.cli import machine

    leave(machine.up(run_dir, _config(config), foreground, inhibited, json))


@app.command()
def down(run_dir: RunDir, json: Json = False) -> None:
    """End everything, dark first."""
    from controller.cli import machine

    leave(machine.down(run_dir.resolve(), json))


@app.command()
def run(
    run_dir: RunDir, config: ConfigFile = None, inhibited: Inhibited = False, json: Json = False
) -> None:
    """Run the machine without the rig, in the foreground; --inhibited for first light."""
    from controller.cli import machine

    leave(machine.stay(run_dir, _config(config), machine.PRODUCT, inhibited, True, json))


@app.command()
def status(run_dir: RunDir, json: Json = False) -> None:
    """Mode, technique, links, faults."""
    from controller.cli import board

    leave(board.status(run_dir, json))


@app.command()
def why(run_dir: RunDir, json: Json = False) -> None:
    """Every reason that keeps the beam dark now, in order."""
    from controller.cli import board

    leave(board.why(run_dir, json))


@app.command()
def ready(run_dir: RunDir, json: Json = False) -> None:
    """STANDBY to READY, through the self-test that is due."""
    from controller.cli import board

    leave(board.act(run_dir, json, "ready"))


@app.command()
def reset(run_dir: RunDir, json: Json = False) -> None:
    """Clear latched faults whose cause is gone."""
    from controller.cli import board

    leave(board.act(run_dir, json, "reset"))


@app.command()
def selftest(run_dir: RunDir, json: Json = False) -> None:
    """The whole self-test, from STANDBY."""
    from controller.cli import board

    leave(board.act(run_dir, json, "selftest"))


@app.command()
def select(
    cine_mode: Annotated[str, typer.Argument(help="one_shot, cine or dsa")],
    run_dir: RunDir, json: Json = False,
) -> None:  # fmt: skip
    """The function of the cine pedal."""
    from controller.cli import board

    leave(board.act(run_dir, json, "select", cine_mode=cine_mode))


@app.command(name="set")
def set_(
    run_dir: RunDir,
    kv: Annotated[float | None, typer.Option(help="tube voltage, kV")] = None,
    ma: Annotated[float | None, typer.Option(help="tube current, mA")] = None,
    ms: Annotated[float | None, typer.Option(help="pulse width, ms")] = None,
    rate: Annotated[float | None, typer.Option(help="pulses per second")] = None,
    json: Json = False,
) -> None:
    """Another technique or rate; READY has to be made again."""
    from controller.cli import board

    given = {"kv": kv, "ma": ma, "ms": ms, "rate": rate}
    edit = {name: value for name, value in given.items() if value is not None}
    leave(board.act(run_dir, json, "set", **edit))


@app.command()
def faults(run_dir: MaybeRunDir = None, json: Json = False) -> None:
    """The fault catalogue; * marks what is held in the run directory."""
    from controller.cli import board

    leave(board.faults(run_dir, json))


@app.command(name="first-light")
def first_light(
    run_dir: RunDir, config: ConfigFile = None,
    step: Annotated[str, typer.Option(help="lines, chain, tone-lamp, panel or pulse")] = "lines",
    repeat: Annotated[int, typer.Option(min=1, max=100_000)] = 10,
    every: Annotated[float, typer.Option(min=0, max=10, help="pause between, s")] = 0.2,
    json: Json = False,
) -> None:  # fmt: skip
    """Lines of new hardware on a scope, with PERMIT held low and nothing able to shine."""
    from controller.cli import firstlight

    leave(firstlight.run(run_dir.resolve(), _config(config), step, repeat, every, json))


@app.command()
def doctor(run_dir: MaybeRunDir = None, json: Json = False) -> None:
    """Is this machine fit for the beam?  Measures effects; exit 1 when exposure is blocked."""
    from controller.cli.answer import show
    from controller.doctor.examination import RUN_DIR, examine, words

    report = examine(run_dir if run_dir is not None else RUN_DIR)
    show(report, json, words(report))
    leave(0 if report["fit"] else 1)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="where pictures and numbers go")] = Path("out/demo"),
    config: ConfigFile = None,
    seed: Annotated[int, typer.Option(help="of the phases at which things are done")] = 1,
    json: Json = False,
) -> None:
    """A whole examination against the rig: table, pictures, timing, truth."""
    from controller.cli import demo as subject

    leave(subject.run(out, _config(config), seed, json))


@config_app.command()
def check(file: Path, json: Json = False) -> None:
    """Read a configuration: exit 0, or 2 with the key that is wrong."""
    from controller.cli import files

    leave(files.check_config(file, json))


@blackbox_app.command()
def show(file: Path) -> None:
    """One JSON object per pulse record."""
    from controller.cli import files

    leave(files.show_blackbox(file))


def _install_judges() -> None:
    from controller.cli import judges

    judges.install(app, find_spec)


def outlined(table: typer.Typer, word: str) -> typer.Typer:
    """The same table with name and help only of every command but `word`.

    Half of the time of `carm --help` went into the options of commands that were not asked for.
    """
    lean = copy(table)
    lean.registered_commands = [_outlined_command(each, word) for each in table.registered_commands]
    lean.registered_groups = [copy(each) for each in table.registered_groups]
    for group in lean.registered_groups:
        if group.typer_instance is not None and group.name != word:
            group.typer_instance = outlined(group.typer_instance, "")
    return lean


def _outlined_command(command: CommandInfo, word: str) -> CommandInfo:
    function = command.callback
    assert function is not None
    if (command.name or function.__name__.replace("_", "-")) == word:
        return command
    lean = copy(command)
    lean.callback = _outline(function)
    return lean


def _outline(function: Callable[..., Any]) -> Callable[[], None]:
    def outline() -> None:
        raise AssertionError(f"{function.__name__} was not asked for")

    outline.__name__, outline.__doc__ = function.__name__, function.__doc__
    return outline


def main() -> None:
    """The entry point: usage errors are refused input (2), Ctrl-C is 130, a bug of ours is 4."""
    try:
        _install_judges()
        table = app
        if "_CARM_COMPLETE" not in os.environ:  # a shell that completes asks for all of them
            word = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
            table = outlined(app, word)
        # Outside standalone mode the library hands the exit code back instead of leaving with it.
        sys.exit(table(standalone_mode=False) or 0)
    except typer.Exit as leaving:
        sys.exit(leaving.exit_code)
    except TyperException as misuse:
        # Every misuse the library knows is one of these; their common name is all it makes public.
        show = getattr(misuse, "show", None)
        show() if callable(show) else sys.stderr.write(f"carm: {misuse}\n")
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception:  # noqa: BLE001 - the last one to know; it must end as 4, not as 1
        traceback.print_exc()
        sys.stderr.write("carm: this is a bug of ours; please report the lines above\n")
        sys.exit(4)


if __name__ == "__main__":
    main()
