"""A refusal: one form for everybody, and what "busy" says."""

from controller.core.refusal import Blame, Refusal, busy


def test_the_form_of_a_refusal() -> None:
    refusal = Refusal("code", Blame.DEVICE, "kv", 7, "1 … 2", "choose less")
    assert refusal.body == {"error": {
        "code": "code", "blame": "device", "key": "kv", "value": 7, "allowed": "1 … 2",
        "remedy": "choose less",
    }}  # fmt: skip
    assert str(refusal) == "code: kv = 7; allowed: 1 … 2; choose less"


def test_busy_names_what_was_asked_and_the_mode() -> None:
    refusal = busy("reset", "PREP")
    assert (refusal.code, refusal.blame, refusal.where, refusal.value) == (
        "busy", Blame.INPUT, "reset", "PREP",
    )  # fmt: skip
