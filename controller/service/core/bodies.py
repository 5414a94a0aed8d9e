"""The body of each command, arguments and all, as one type per command.

Lives here: joining the fields that all bodies have with the arguments of one.  May not live here:
reading (`controller.service.core.envelope`), which looks at both in turn so that it can say which
was wrong.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import create_model

from controller.service.core.commands import COMMANDS, Strict
from controller.service.core.envelope import Body, Name
from controller.service.core.levels import Level


def _optional(arguments: type[Strict]) -> bool:
    return not any(field.is_required() for field in arguments.model_fields.values())


def _body(name: str) -> type[Body]:
    row = COMMANDS[name]
    arguments: Any = row.arguments
    fields: dict[str, Any] = {
        "command": (Literal[name], ...),
        "arguments": (arguments, arguments() if _optional(arguments) else ...),
    }
    if row.level is not Level.ASK:
        fields["by"] = (Name, ...)
    doc = f"The text under `body` of `{name}`. Times are milliseconds since 1970, UTC."
    made: type[Body] = create_model(f"Body_{name}", __base__=Body, __doc__=doc, **fields)
    return made


BODIES: Final = {name: _body(name) for name in COMMANDS}
