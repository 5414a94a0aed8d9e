"""`python -m controller.service.contract_files DOCS`: writes the contract's documents.

Lives here: `asyncapi.yaml`, `schemas/mqtt/*.json`, and the two tables between the marks of
`mqtt.md`.  May not live here: their content (`controller.service.core.contract`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from controller.service.core.contract import asyncapi, command_rows, schemas, topic_rows

_TABLES: Final = {"commands": command_rows, "topics": topic_rows}


def _between(text: str, name: str, rows: Iterable[str]) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    assert found and closed, f"mqtt.md lacks the marks of {name}"
    return f"{before}{begin}\n{chr(10).join(rows)}\n{end}{after}"


def documents(docs: Path) -> dict[Path, str]:
    """Every file of the contract below `docs` with the text it must have."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Readers other than YAML's own do not know its anchors."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    made = {
        docs / "schemas" / "mqtt" / f"{stem}.json": json.dumps(schema, indent=2) + "\n"
        for stem, schema in schemas().items()
    }
    head = "# Made by python -m controller.service.contract_files; do not edit.\n"
    body = yaml.dump(asyncapi(), Dumper=Plain, sort_keys=False, width=100, allow_unicode=True)
    made[docs / "asyncapi.yaml"] = head + body
    page = docs / "mqtt.md"
    text = page.read_text(encoding="utf-8")
    for name, rows in _TABLES.items():
        text = _between(text, name, rows())
    made[page] = text
    return made


def main() -> int:
    """Write them all."""
    for path, text in documents(Path(sys.argv[1])).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
