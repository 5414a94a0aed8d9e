"""The classifier of lateness against stalls of known cause, few of each."""

from collections import Counter

import pytest

from bench import stalls
from bench.machine import grants_fifo
from tests.plugins.verdict import left_out

TRIES = 3


@pytest.mark.process
def test_stalls_get_their_name() -> None:
    """Blind and random; a class that is wrong in every try is wrong, not unlucky."""
    if not grants_fifo():
        left_out("FIFO is not granted here")
    wrong = {what for what in stalls.EXPECTED if what != stalls.NONE}
    for seed in range(TRIES):
        found = stalls.measure(3, seed)
        wrong = {what for what in wrong if stalls.attributed(found, what) < 1.0}
        if not wrong:
            break
    assert wrong == set()


def test_the_page_shows_every_class_and_counts_right() -> None:
    found = Counter({("gc", "own_code"): 3, ("gc", "disk"): 1, ("none", "none"): 4})
    text = stalls.page(found, 5)
    assert stalls.attributed(found, "gc") == 0.75
    assert "| gc | · | · | · | · | 1 | · | · | 3 | 75% |" in text
    assert "7 of 8 right (87.5%), seed 5" in text
    assert text.count("\n| ") == len(stalls.EXPECTED) + 1
