"""`carm demo`: a whole examination against the rig, with a table and pictures at the end.

Lives here: running the script with live progress, and what is left in the output folder.  May not
live here: the steps (`demo_script`), the machine (`stage`), or a number that no file shows.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from controller.cli import demo_summary
from controller.cli.answer import JUDGED_BAD, MACHINE
from controller.cli.demo_script import Script, Step
from controller.cli.demo_watch import Picture, Watch
from controller.cli.stage import Stage, StageError
from hil.rig.client import RigError

SHEET_COLUMNS: Final = 4
TRIES: Final = 2
FILES: Final = (
    "summary.json", "last-image.png", "contact-sheet.png", "timing.png", "trace.vcd", "truth.jsonl",
    "blackbox.ring",
)  # fmt: skip


def _try(script: Script, step: Step, act: Callable[[], str]) -> None:
    """One step; a machine that faltered gets a second try, and both are told."""
    said: list[str] = []
    while len(said) < TRIES and not step.ok:
        try:
            said.append(act())
            step.ok = True
        except (StageError, RigError, OSError) as error:
            said.append(str(error))
            script.at_rest()
    step.observed = "; second try: ".join(said)


def _play(script: Script, console: Console) -> list[Step]:
    """Every step with its progress; after a failed step the rest is still tried."""
    planned = list(script.steps())
    done: list[Step] = []
    bar = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(),
                   TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(),
                   console=console)  # fmt: skip
    with bar:
        task = bar.add_task("starting", total=len(planned))
        for step, act in planned:
            bar.update(task, description=step.expected)
            begun_s = time.monotonic()
            _try(script, step, act)
            step.t_ms = round((time.monotonic() - begun_s) * 1000, 1)
            sign = "[green]good[/]" if step.ok else "[red]bad [/]"
            bar.console.print(f"{sign}  {step.expected}: {step.observed}")
            bar.advance(task)
            done.append(step)
    return done


def _labelled(picture: Picture) -> Any:
    import numpy as np

    from controller.imaging.display import Labelled

    header, payload = picture
    pixels = np.frombuffer(payload, dtype="<u2").astype(np.uint16).reshape(header["shape"])
    text = (f"{header['kv_set']:g} kV  {header['ma_set']:g} mA  {header['ms_set']:g} ms   "
            f"frame {header['seq']}")  # fmt: skip
    return Labelled(pixels, header["kind"], text)


def _pictures(out: Path, watch: Watch) -> None:
    from controller.imaging.display import write_contact_sheet, write_png

    if watch.held is not None:
        write_png(out / "last-image.png", _labelled(watch.held))
    if watch.kept:
        sheet = [_labelled(picture) for picture in watch.kept]
        write_contact_sheet(out / "contact-sheet.png", sheet, SHEET_COLUMNS)


def _plots(out: Path, console: Console) -> None:
    from hil.plots.timing import plot_timing
    from hil.plots.vcd import write_vcd
    from hil.referee.truth import read

    console.print("drawing the timing, writing the waveforms")
    truth = out / "truth.jsonl"
    plot_timing(lambda: read(truth), out / "timing.png")
    write_vcd(read(truth), out / "trace.vcd")


def _table(summary: dict[str, Any]) -> Table:
    table = Table(title="The demo in numbers", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in demo_summary.rows(summary):
        table.add_row(name, value)
    return table


def run(out: Path, config: Path, seed: int, as_json: bool) -> int:
    """Play everything; exit code 0 when every step and the referee are good, else 1 (or 3)."""
    console = Console(stderr=True)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    begun_s = time.monotonic()
    try:
        with Stage(config) as stage:
            watch = Watch(stage.endpoints["frames"])
            watch.start()
            script = Script(stage, seed)
            steps = _play(script, console)
            # The tails of the last series are repeated every 100 ms; they close the account.
            time.sleep(0.5)
            degraded = demo_summary.degraded(stage.run_dir, stage.rig.status())
            stage.rig.flush()
            report = watch.stop()
            stage.end()
            for name in ("truth.jsonl", "blackbox.ring"):
                shutil.copyfile(stage.run_dir / name, out / name)
    except OSError as error:
        console.print(f"[red]the demo could not run:[/] {error}")
        return MACHINE
    _pictures(out, watch)
    _plots(out, console)
    summary = demo_summary.summarise(out, script, steps, watch, report, degraded)
    summary["wall_s"] = round(time.monotonic() - begun_s, 1)
    (out / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    console.print(_table(summary))
    console.print(f"in {out}: {', '.join(name for name in FILES if (out / name).exists())}")
    if as_json:
        json.dump(summary, sys.stdout, ensure_ascii=False)
    good = all(step.ok for step in steps) and summary["referee_violations"] == 0
    return 0 if good and summary["accounts_agree"] else JUDGED_BAD
