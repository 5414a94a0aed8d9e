"""The project keeps its house rules: which rule holds for which files."""

from pathlib import Path

import pytest

from tests.house import rules, tree

CODE = tree.python_files(*tree.CODE)
TESTS = tree.python_files("tests")
SUPERVISED = tree.python_files("realtime", "controller")


def module_of(path: Path) -> str:
    return tree.relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def check(rule: rules.Rule, files: list[Path], but: dict[str, str] | None = None) -> None:
    """Hold a rule against files, save the modules listed in `but`; show each finding."""
    found = [
        f"{tree.relative(path)}:{line}: {what}"
        for path in files
        if module_of(path) not in (but or {})
        for line, what in rule(path.read_text())
    ]
    assert not found, "\n".join([rule.__doc__ or "", *found])


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        (rules.short_files, CODE + TESTS),
        (rules.short_functions, CODE + TESTS),
        (rules.head_is_contract, CODE),
        (rules.no_loose_ends, CODE + TESTS),
        (rules.clear_names, CODE + TESTS),
        (rules.no_simulation_switch, SUPERVISED),
        (rules.tests_can_fail, TESTS),
    ],
    ids=lambda value: value.__name__ if callable(value) else f"{len(value)} files",
)
def test_rule_holds(rule: rules.Rule, files: list[Path]) -> None:
    check(rule, files)


def test_the_wall_clock_is_read_in_listed_modules_only() -> None:
    check(rules.no_wall_clock, CODE, but=tree.CLOCK_MODULES)


def test_nothing_timed_sleeps_in_the_supervisor() -> None:
    files = tree.python_files("controller")
    check(rules.no_sleep, files, but=tree.SLEEP_ALLOWED)


def test_exceptions_to_a_rule_exist_and_give_a_reason() -> None:
    known = {module_of(path) for path in CODE}
    for module, reason in (tree.CLOCK_MODULES | tree.SLEEP_ALLOWED).items():
        assert module in known, f"{module} is listed in pyproject.toml but does not exist"
        assert len(reason.split()) >= 4, f"{module} needs a reason"


def test_the_pure_core_sees_no_clock_and_no_outside_world() -> None:
    check(rules.pure_imports, tree.pure_realtime())


def test_realtime_needs_the_standard_library_and_msgpack_only() -> None:
    rule = rules.only_imports("realtime", "msgpack")
    files = [f for f in tree.python_files("realtime") if f.name != "gpio.py"]
    check(rule, files)


def test_msgpack_is_seen_by_the_codec_and_the_last_gate_only() -> None:
    files = [f for f in tree.python_files("realtime") if f.name not in {"codec.py", "permit.py"}]
    files = [f for f in files if f.name != "gpio.py"]
    check(rules.only_imports("realtime"), files)


def test_libgpiod_is_seen_by_its_driver_only() -> None:
    files = [f for f in tree.python_files("realtime/drivers") if f.name == "gpio.py"]
    check(rules.only_imports("realtime", "gpiod"), files)


def test_the_last_gate_shares_no_code_with_what_it_judges() -> None:
    files = [f for f in tree.python_files("realtime") if f.name == "permit.py"]
    check(rules.only_imports("msgpack"), files)


def test_every_module_of_the_pure_core_has_its_twin() -> None:
    modules = [path for path in tree.pure_realtime() if not path.name.startswith("__")]
    missing = [tree.relative(tree.twin(p)) for p in modules if not tree.twin(p).is_file()]
    assert not missing, "\n".join(missing)


def test_every_impure_pattern_names_a_file() -> None:
    patterns = tree.PROJECT["tool"]["coverage"]["run"]["omit"]
    assert [pattern for pattern in patterns if not list(tree.ROOT.glob(pattern))] == []


def test_vague_words_name_no_file() -> None:
    named = [path for path in CODE + TESTS if rules.VAGUE_WORDS & {*rules.words(path.stem)}]
    assert named == []


def test_the_top_level_is_as_fixed() -> None:
    present = {path.relative_to(tree.ROOT).parts[0] for path in tree.tracked()}
    assert present - tree.TOP_LEVEL == set()


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    binary = {".png", ".npz", ".npy"}
    files = [path for path in tree.tracked() if path.suffix not in binary]
    check(rules.no_machine_paths, files)


def test_every_folder_with_code_is_typed() -> None:
    typed = set(tree.PROJECT["tool"]["mypy"]["files"])
    assert {top for top in (*tree.CODE, "tests") if tree.python_files(top)} - typed == set()
