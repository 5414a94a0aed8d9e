"""The tables of `docs/scenarios.md` and the schema of the scenario file, made from the code.

Lives here: what can be said of faults, reactions and acts, as Markdown.  May not live here: prose.
`python -m hil.sim.page` writes them between the marks of the page, and the schema; tests compare.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from hil.room.acts import ACTS
from hil.sim.faults import TABLE
from hil.sim.injection import Window
from hil.sim.means import REAL_TIME_SET, means_of
from hil.sim.reactions import REACTIONS
from hil.sim.removed import REMOVED
from hil.sim.schema import file_schema

PAGE: Final = Path("docs/scenarios.md")
SCHEMA: Final = Path("docs/schemas/scenario-file.json")
_MARK: Final = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def faults() -> str:
    """One row per component and type."""
    lines = ["| component | type | instances (first: default) | amount | numbers | what |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for (component, kind), row in TABLE.items():
        instances = ", ".join(f"`{name}`" for name in row.instances if name) or "—"
        amount = f"{row.amount:g} {row.unit}" if row.unit else "—"
        lines.append(f"| `{component}` | `{kind}` | {instances} | {amount} | "
                     f"{' '.join(row.numbers)} | {row.what} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def reactions() -> str:
    """One row per reaction."""
    lines = ["| reaction | needs | contrast | what |", "|---|---|---|---|"]
    for name, row in REACTIONS.items():
        needs = ", ".join(f"`{key}`" for key in row.needs) or "—"
        contrast = "yes" if row.contrast else "no"
        lines.append(f"| `{name}` | {needs} | {contrast} | {row.what} |")
    return "\n".join(lines) + "\n"


def acts() -> str:
    """The acts in the room, in words."""
    return ", ".join(f"`{name}`" for name in ACTS) + "\n"


def real_time() -> str:
    """One row per component and type, and where they differ per instance: how real time does it."""
    lines = ["| component | type | in real time |", "|---|---|---|"]
    for (component, kind), row in TABLE.items():
        by_words: dict[str, list[str]] = {}
        for name in row.instances:
            words = means_of(Window("", component, kind, name, 0.0, 0, 0)).words()
            by_words.setdefault(words, []).append(name)
        for words, names in by_words.items():
            only = "" if len(by_words) == 1 else " " + ", ".join(f"`{name}`" for name in names)
            lines.append(f"| `{component}` | `{kind}`{only} | {words} |")
    return "\n".join(lines) + "\n"


def repeated() -> str:
    """The set that is repeated in real time."""
    return ", ".join(f"`{name}`" for name in REAL_TIME_SET) + "\n"


def removed() -> str:
    """The reactions that can be taken out."""
    lines = ["| `without` | the reaction |", "|---|---|"]
    lines += [f"| `{name}` | {row.what} |" for name, row in REMOVED.items()]
    return "\n".join(lines) + "\n"


def schema() -> str:
    """The schema of the scenario file, as text."""
    return json.dumps(file_schema(), indent=1, ensure_ascii=False) + "\n"


def filled(text: str) -> str:
    """The page with its tables as the code has them now."""
    tables = {"faults": faults, "reactions": reactions, "acts": acts,
              "realtime": real_time, "repeated": repeated, "removed": removed}  # fmt: skip
    return _MARK.sub(lambda hit: hit[1] + tables[hit[2]]() + hit[3], text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")
