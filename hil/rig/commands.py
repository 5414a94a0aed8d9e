"""What `carm rig …` does, as plain functions that return what is printed.

Lives here: `beam` and `frames`, which need no running rig, and thin calls to a running one.  May
not live here: argument parsing or output (`controller.cli`).
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from hil.physics.panel import DU_PER_QUANTUM, OFFSET_DU, Panel, Shot
from hil.physics.patient import Patient
from hil.physics.spectra import beam as beam_at
from hil.rig.client import RigClient
from realtime.wire.config import Config

FRAMES_MAX: Final = 256
SETTLE_NS: Final = 60_000_000_000  # long against every lag of the panel


def beam(tube_kv: float, filter_name: str) -> dict[str, float]:
    """The beam at a tube voltage (kV) behind a filter; raises spectra.OutsideTable."""
    row = beam_at(tube_kv, filter_name)
    return {
        "hvl_mm_al": round(row.hvl_mm_al, 4),
        "fluence_per_mm2_per_ugy": round(row.fluence_per_mm2_per_ugy, 1),
        "kerma_ugy_per_mas_1m": round(row.kerma_ugy_per_mas_1m, 3),
    }


def frames(
    config: Config, count: int, out: Path, mas: float | None = None, patient: bool = True,
    exact: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Render `count` raw frames of the fixed technique into `out` (.npy, uint16, count × h × w).

    A sidecar `out` + `.json` holds per frame the delivered mAs and the expected quanta per pixel
    of an open field (before gain, offset and electronics).  `mas` None: as set.  Raises ValueError
    for more than FRAMES_MAX frames.
    """
    if not 1 <= count <= FRAMES_MAX:
        raise ValueError(f"n = {count}: allowed is 1 … {FRAMES_MAX}")
    height, width, pitch = (config[f"panel.{key}"] for key in ("height", "width", "pitch_um"))
    kv, filter_name = config["technique.kv"], config["technique.filter"]
    set_mas = config["technique.ma"] * config["technique.ms"] / 1000.0
    delivered = set_mas if mas is None else mas
    panel = Panel(height, width, pitch)
    body = Patient(height, width, pitch) if patient else None
    pixels = np.empty((count, height, width), np.uint16)
    period_ns = round(1e9 / config["technique.pulses_per_s"])
    for n in range(count):
        t_ns = SETTLE_NS + n * period_ns
        shots = [Shot(kv, filter_name, delivered, 0.0, t_ns)] if delivered > 0 else []
        panel.frame(shots, body, pixels[n], t_ns, exact=exact)
    np.save(out, pixels)
    sidecar = {
        "schema": "carm.rig-frames/1",
        "kv": kv,
        "filter": filter_name,
        "delivered_mas": [delivered] * count,
        "expected_photons_per_pixel": [
            panel.charge_quanta(kv, filter_name, delivered) if delivered > 0 else 0.0
        ]
        * count,
        "patient": patient,
        "exact": exact,
        "du_per_photon": DU_PER_QUANTUM,
        "offset_du": OFFSET_DU,
    }
    out.with_name(out.name + ".json").write_text(json.dumps(sidecar, indent=1), encoding="utf-8")
    return {"file": str(out), "shape": list(pixels.shape), **sidecar}


def do(run_dir: Path, act: str, phase: float = -1.0, phase_of: str = "cycle") -> dict[str, Any]:
    """Act on the room of a running rig; raises client.RigError, OSError."""
    with RigClient(run_dir / "rig.sock") as rig:
        return {"do": act, "t_ns": rig.do(act, phase, phase_of)}


def inject(run_dir: Path, fault: str, **how: Any) -> dict[str, Any]:
    """Inject a fault and wait until the truth log has seen it begin, at most 1 s after onset.

    `verified` tells whether its effect was there; a fault that waits for a pulse may need one.
    """
    truth = run_dir / "truth.jsonl"
    start = truth.stat().st_size if truth.exists() else 0
    with RigClient(run_dir / "rig.sock") as rig:
        reply = rig.inject(fault, **how)
        until = time.monotonic() + 1.0 + float(how.get("after_ms", 0.0)) / 1000.0
        seen = False
        while not seen and time.monotonic() < until:
            rig.flush()
            seen = _begun(truth, start, fault)
            if not seen:
                time.sleep(0.02)
    return {"inject": fault, "t_ns": reply["t_ns"], "verified": seen}


def _begun(truth: Path, start: int, fault: str) -> bool:
    with truth.open("rb") as file:
        file.seek(start)
        lines = file.read().splitlines()
    rows = [json.loads(line) for line in lines if b"fault_on" in line]
    return any(row["kind"] == "fault_on" and row["name"] == fault for row in rows)


def clear(run_dir: Path, fault: str = "") -> dict[str, Any]:
    """End one fault, or all of them."""
    with RigClient(run_dir / "rig.sock") as rig:
        rig.clear(fault)
    return {"clear": fault}


def truth(run_dir: Path, out: Path) -> dict[str, Any]:
    """Copy the truth log so far to `out`."""
    with RigClient(run_dir / "rig.sock") as rig:
        lines = rig.flush()
    shutil.copyfile(run_dir / "truth.jsonl", out)
    return {"file": str(out), "lines": lines}


def status(run_dir: Path) -> dict[str, Any]:
    """State of both rig processes."""
    with RigClient(run_dir / "rig.sock") as rig:
        return rig.status()
