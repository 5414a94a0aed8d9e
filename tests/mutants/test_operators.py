"""The operators find what can be wrong, make exactly that change, and leave words alone."""

import ast

from tests.mutants.operators import mutants, mutated

SOURCE = '''"""Head."""
LIMIT = 3
ROWS = {("a", "x"): "b", ("b", "x"): "a"}


def decide(now: int, late: bool, log: list[str]) -> str:
    """Words."""
    assert now >= 0
    log.append("now and 1")
    if now < LIMIT and not late:
        return "early"
    log[0] = "late"
    return ""
'''


def changes() -> dict[str, str]:
    return {
        f"{m.where}: {m.change}": ast.unparse(mutated(SOURCE, m)) for m in mutants("x.py", SOURCE)
    }


def test_every_operator_finds_its_place() -> None:
    assert sorted(changes()) == [
        "decide: 0: 0 → -1",
        "decide: 0: 0 → 1",
        "decide: log[0] = 'late': deleted",
        "decide: not late: not dropped",
        "decide: now < LIMIT and (not late): and → or",
        "decide: now < LIMIT: < → <=",
        "decide: now < LIMIT: < → >=",
        "decide: return '': returns another word",
        "decide: return 'early': returns another word",
        "module: 3: 3 → 2",
        "module: 3: 3 → 4",
        "module: {('a', 'x'): 'b', ('b', 'x'): 'a'}: rows 0 and 1 swapped",
    ]


def test_a_mutant_differs_from_the_source_in_its_change_only() -> None:
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    for change, source in changes().items():
        after = source.splitlines()
        assert len(after) == len(before), change
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, change


def test_mutants_are_the_same_every_time() -> None:
    assert list(mutants("x.py", SOURCE)) == list(mutants("x.py", SOURCE))
    assert len({m.key for m in mutants("x.py", SOURCE)}) == 12
