"""The beam of the default room, looked up: kerma, quanta and attenuation against kV and filter.

Lives here: interpolation in `beam_tables.json`, which `hil.physics.build_tables` makes with SpekPy.
May not live here: geometry (`patient`) or the detector's electronics (`panel`).  The dose ledger
must never read this table: dosimeter and ledger share neither code nor numbers.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

_TABLES: Final = Path(__file__).with_name("beam_tables.json")


class Beam(NamedTuple):
    """The beam at one tube voltage and filter.  Quanta are those the panel absorbs.

    Kerma is free in air at 1 m, fluence and quanta per µGy of it, attenuation coefficients are
    effective values (tissue: secant over 20 cm; the others thin, behind 20 cm of tissue).
    """

    kv: float
    kerma_ugy_per_mas_1m: float
    hvl_mm_al: float
    fluence_per_mm2_per_ugy: float
    quanta_per_mm2_per_ugy: float
    kev_per_quantum: float
    mu_tissue_per_cm: float
    mu_bone_per_cm: float
    mu_iodine_per_cm: float
    mu_steel_per_cm: float


class OutsideTable(ValueError):
    """A tube voltage or filter that the tables do not hold."""


def _read() -> dict[str, tuple[Beam, ...]]:
    table = json.loads(_TABLES.read_text(encoding="utf-8"))
    return {name: tuple(Beam(**row) for row in rows) for name, rows in table.items()}


_BEAMS: Final = _read()
FILTERS: Final = tuple(_BEAMS)
KV_MIN: Final = _BEAMS[FILTERS[0]][0].kv
KV_MAX: Final = _BEAMS[FILTERS[0]][-1].kv


@lru_cache(maxsize=256)
def beam(tube_kv: float, filter_name: str) -> Beam:
    """The beam at `tube_kv` behind `filter_name`, linear between rows 2 kV apart.

    Raises OutsideTable for an unknown filter or a voltage outside 40 … 120 kV.
    """
    if filter_name not in _BEAMS:
        raise OutsideTable(f"filter {filter_name!r}: allowed is one of {', '.join(FILTERS)}")
    if not KV_MIN <= tube_kv <= KV_MAX:
        raise OutsideTable(f"{tube_kv} kV: allowed is {KV_MIN:g} … {KV_MAX:g} kV")
    rows = _BEAMS[filter_name]
    upper = min(bisect_right(rows, tube_kv, key=lambda row: row.kv), len(rows) - 1)
    low, high = rows[upper - 1], rows[upper]
    share = (tube_kv - low.kv) / (high.kv - low.kv)
    return Beam(*(a + share * (b - a) for a, b in zip(low, high, strict=True)))


def quanta_per_mm2(tube_kv: float, filter_name: str, mas: float, distance_mm: float) -> float:
    """Quanta per mm² that the panel would absorb without a patient, by the inverse square."""
    row = beam(tube_kv, filter_name)
    kerma_ugy = row.kerma_ugy_per_mas_1m * mas * (1000.0 / distance_mm) ** 2
    return kerma_ugy * row.quanta_per_mm2_per_ugy
