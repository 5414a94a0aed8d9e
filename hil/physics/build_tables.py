"""Builds `beam_tables.json` with SpekPy: `python -m hil.physics.build_tables` (extra `tables`).

Lives here: the tube, the filters, the detector and the materials of the default room.  May not live
here: anything that is needed at run time (`hil.physics.spectra` reads the file).

Tube: tungsten, 12° target, 1 m.  Filters in mm; `none` is the inherent 2.5 mm Al, `3Al+0.1Cu` is
3 mm Al and 0.1 mm Cu in all.  The panel sums the energy of what 500 µm of CsI absorbs.
Attenuation is that of the absorbed quanta: tissue as the secant over 20 cm, everything else in thin
layers behind 20 cm of tissue, where the beam is hard: there bones, wires and contrast agent are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import spekpy

TABLES: Final = Path(__file__).with_name("beam_tables.json")
KV: Final = tuple(range(40, 121, 2))
FILTERS: Final = {"none": (("Al", 2.5),), "3Al+0.1Cu": (("Al", 3.0), ("Cu", 0.1))}
BODY_MM: Final = 200.0
CSI_MM: Final = 0.5
# name in the table: material of SpekPy, thin layer in mm
THIN: Final = {
    "bone": ("Bone, Cortical (ICRP)", 1.0),
    "iodine": ("I", 0.01),
    "steel": ("Fe", 0.05),
}
BODY: Final = "Water, Liquid"


def _through(spek: Any, material: str, energies: Any, thickness_mm: float) -> Any:
    return np.exp(-spek.mu_data.get_mu_t(material, energies, thickness_mm))


def row(tube_kv: float, filters: tuple[tuple[str, float], ...]) -> dict[str, float]:
    """One row of the table for a tube voltage and a stack of filters."""
    spek = spekpy.Spek(kvp=tube_kv, th=12, z=100, dk=0.5)
    for material, thickness_mm in filters:
        spek.filter(material, thickness_mm)
    energies, fluence = spek.get_spectrum(diff=False)  # keV, photons/cm² per bin and mAs
    counted = fluence * (1 - _through(spek, "Cesium Iodide", energies, CSI_MM))
    behind = counted * _through(spek, BODY, energies, BODY_MM)
    kerma_ugy = spek.get_kerma()
    values = {
        "kv": tube_kv,
        "kerma_ugy_per_mas_1m": kerma_ugy,
        "hvl_mm_al": spek.get_hvl1(),
        "fluence_per_mm2_per_ugy": fluence.sum() / 100 / kerma_ugy,
        "quanta_per_mm2_per_ugy": counted.sum() / 100 / kerma_ugy,
        "kev_per_quantum": (behind * energies).sum() / behind.sum(),
        "mu_tissue_per_cm": -10 / BODY_MM * np.log(behind.sum() / counted.sum()),
    }
    for name, (material, thin_mm) in THIN.items():
        passed = (behind * _through(spek, material, energies, thin_mm)).sum() / behind.sum()
        values[f"mu_{name}_per_cm"] = -10 / thin_mm * np.log(passed)
    return {name: float(f"{value:.6g}") for name, value in values.items()}


def main() -> None:
    """Write the table beside this file."""
    table = {name: [row(kv, filters) for kv in KV] for name, filters in FILTERS.items()}
    rows = [
        f'  "{name}": [\n' + ",\n".join("    " + json.dumps(line) for line in lines) + "\n  ]"
        for name, lines in table.items()
    ]
    TABLES.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
