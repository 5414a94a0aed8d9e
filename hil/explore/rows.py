"""Which table rows fire: the shipped tables, wrapped for as long as an exploration lasts.

Lives here: a table that notes what is looked up, and putting it in the place of the shipped ones
and taking it away again.  May not live here: the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from controller.core import machine, modes
from realtime import beam, executive, irradiation, orders, pedals


class Noted(dict[Any, Any]):
    """A table that remembers which pairs were asked for."""

    def __init__(self, table: Mapping[Any, Any]) -> None:
        super().__init__(table)
        self.asked: set[Any] = set()

    def __getitem__(self, pair: Any) -> Any:
        self.asked.add(pair)
        return super().__getitem__(pair)

    def get(self, pair: Any, default: Any = None) -> Any:
        """As of a dict."""
        self.asked.add(pair)
        return super().get(pair, default)


# Table name, where the shipped code looks it up, and the rows that must fire.
_TABLES: Final[tuple[tuple[str, Any, str, Any], ...]] = (
    ("beam", executive, "NEXT", beam.ROWS),
    ("pedal", pedals, "_NEXT", pedals.ROWS),
    ("order", orders, "_NEXT", orders.ROWS),
    ("signal", irradiation, "_NEXT", irradiation.ROWS),
    ("modes", machine, "TABLE",
     {pair: row for pair, row in modes.TABLE.items() if isinstance(row, modes.Row)}),
)  # fmt: skip
Rows = dict[str, set[str]]


def row_name(table: str, pair: Any) -> str:
    """`beam: dark × press`."""
    return f"{table}: {pair[0].value} × {pair[1].value}"


def all_rows(*tables: str) -> set[str]:
    """Names of all rows of the tables."""
    return {row_name(name, pair) for name, _, _, rows in _TABLES if name in tables for pair in rows}


@contextmanager
def noting() -> Iterator[set[str]]:
    """Within: every row that fires is added to the set that is given at the end."""
    shipped = [getattr(module, attribute) for _, module, attribute, _ in _TABLES]
    noted = [Noted(table) for table in shipped]
    fired: set[str] = set()
    for (_, module, attribute, _), table in zip(_TABLES, noted, strict=True):
        setattr(module, attribute, table)
    try:
        yield fired
    finally:
        for (name, module, attribute, rows), table, was in zip(
            _TABLES, noted, shipped, strict=True
        ):
            setattr(module, attribute, was)
            fired |= {row_name(name, pair) for pair in table.asked if pair in rows}
