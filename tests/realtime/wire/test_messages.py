"""The catalogue of messages: one name per class, bounds that name fields, values in range."""

import dataclasses
from typing import get_type_hints

import pytest
from hypothesis import given

from realtime.wire import messages
from realtime.wire.messages import CATALOGUE, Message, Order
from tests.realtime.wire.examples import messages_of

ALL = [kind for kind in vars(messages).values()
       if isinstance(kind, type) and issubclass(kind, Message) and kind is not Message]  # fmt: skip


def test_every_class_is_in_the_catalogue_once() -> None:
    assert sorted(kind.__name__ for kind in CATALOGUE.values()) == sorted(k.__name__ for k in ALL)
    assert len(set(CATALOGUE.values())) == len(CATALOGUE)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_bounds_name_fields_and_are_ordered(kind: type[Message]) -> None:
    hints = get_type_hints(kind)
    for name, (low, high) in kind.bounds.items():
        assert hints[name] in (int, float)
        assert low < high


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_a_message_is_a_value(kind: type[Message]) -> None:
    assert kind.__doc__
    params = getattr(kind, "__dataclass_params__", None)
    assert params is not None
    assert params.frozen


@given(messages_of(Order))
def test_messages_compare_by_value(order: Order) -> None:
    assert order == dataclasses.replace(order)
    assert order != dataclasses.replace(order, order_seq=(order.order_seq + 1) % 1000 + 1001)


def test_no_code_is_longer_than_text_may_be() -> None:
    enums = (messages.Mode, messages.EndReason, messages.SkipReason, messages.Exercise)
    words = [member.value for enum in enums for member in enum]
    assert words
    assert all(0 < len(word) <= 32 for word in words)
