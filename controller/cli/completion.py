"""What a shell may put behind `carm service command` and `download`, from the table of commands.

Lives here: words and their help.  May not live here: options (`controller.cli.service`), or a
question to the machine: completing has to be quick and work without a broker.
"""

from __future__ import annotations

import typing
from collections.abc import Sequence
from typing import Any, Final

from controller.service.core.commands import COMMANDS

FILES: Final = {
    "log": "the event log", "audit": "the audit log", "blackbox": "the records of all pulses",
    "incident": "everything somebody far away needs, in one file",
}  # fmt: skip


def _values(hint: Any) -> tuple[str, ...]:
    return tuple(str(one) for one in typing.get_args(hint)) if _is_choice(hint) else ()


def _is_choice(hint: Any) -> bool:
    return typing.get_origin(hint) is typing.Literal


def keys_and_values(name: str, words: Sequence[str], incomplete: str) -> list[tuple[str, str]]:
    """(word, help) for `key=` and, where a key has a few values only, `key=value`.

    bash hands `key=value` over as three words; then only the value is asked for.
    """
    row = COMMANDS.get(name)
    if row is None:
        return []
    hints = typing.get_type_hints(row.arguments)
    if words and words[-1] == "=" and len(words) > 1:
        values = _values(hints.get(words[-2]))
        return [(one, "") for one in values if one.startswith(incomplete.lstrip("="))]
    key, equals, begun = incomplete.partition("=")
    if equals:
        return [(f"{key}={one}", "") for one in _values(hints.get(key)) if one.startswith(begun)]
    given = {word.partition("=")[0] for word in words}
    found = []
    for one, field in row.arguments.model_fields.items():
        if one.startswith(key) and one not in given:
            words_of = " | ".join(_values(hints[one]))
            found.append((f"{one}=", words_of or ("" if field.is_required() else "optional")))
    return found
