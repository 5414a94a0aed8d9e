"""Hypothesis strategies for every message class, from the fields and bounds of the class.

Lives here: valid values.  May not live here: the codec, which is what they judge.
"""

from dataclasses import fields
from enum import StrEnum
from typing import Any, get_type_hints

from hypothesis import strategies as st

from realtime.wire.messages import CATALOGUE, INT_MAX, Message

TEXT = st.text(max_size=20)


def values(kind: type[Message], name: str, hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this class may hold."""
    bounds = kind.bounds.get(name)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    if hint is int:
        low, high = bounds or (0, INT_MAX)
        return st.integers(int(low), int(high))
    if hint is float:
        if bounds is None:
            return st.floats(allow_nan=False, allow_infinity=False)
        return st.floats(*bounds)
    return {bool: st.booleans(), str: TEXT, list[str]: st.lists(TEXT, max_size=4)}[hint]


def messages_of(kind: type[Message]) -> st.SearchStrategy[Any]:
    """Messages of one class."""
    hints = get_type_hints(kind)
    return st.builds(
        kind,
        **{f.name: values(kind, f.name, hints[f.name]) for f in fields(kind)},  # type: ignore[arg-type]
    )


ANY_MESSAGE: st.SearchStrategy[Message] = st.one_of([messages_of(k) for k in CATALOGUE.values()])
