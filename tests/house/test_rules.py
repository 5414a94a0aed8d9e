"""Each house rule can fail: a bad snippet breaks it and a good one does not."""

import pytest

from tests.house import rules

LONG_BODY = "    pass\n" * rules.FUNCTION_LINES_MAX
HEAD = '"""Lines of the bank.\n\nDrivers may not live here.\n"""\n'

# A ~ is dropped before use: this file itself must pass the rules that read plain text.
BAD_AND_GOOD = [
    (rules.short_files, "x = 1\n" * 401, "x = 1\n" * 400),
    (rules.short_functions, f"def f():\n{LONG_BODY}", f"def f():\n{LONG_BODY[9:]}"),
    (rules.short_functions, f"async def f():\n{LONG_BODY}", f"async def f():\n{LONG_BODY[9:]}"),
    (rules.head_is_contract, '"""Only this."""\n', HEAD),
    (rules.head_is_contract, "x = 1\n", HEAD),
    (rules.no_loose_ends, "x = 1  # TO~DO later\n", "to_do = 1\n"),
    (rules.no_loose_ends, "x = 1  # FIX~ME\n", "fix = 1\n"),
    (rules.no_loose_ends, "@pytest.mark.sk~ipif(True)\n", "@pytest.mark.process\n"),
    (rules.no_loose_ends, "pytest.sk~ip('no')\n", "left_out('no broker')\n"),
    (rules.no_loose_ends, "@pytest.mark.xf~ail\n", "x = 1\n"),
    (rules.no_loose_ends, "x = 1  # pragma: no co~ver\n", "x = 1\n"),
    (rules.no_loose_ends, "raise NotImplemented~Error\n", "return NotImplemented\n"),
    (rules.no_machine_paths, "open('/ro~ot/x')\n", "open('docs/root/x')\n"),
    (rules.no_machine_paths, "cd /wo~rk/main\n", "see https://example.org/work/\n"),
    (rules.no_machine_paths, "see .libra~ry/readme\n", "see a library/readme\n"),
    (rules.clear_names, "class DoseManager: ...\n", "class DoseLedger: ...\n"),
    (rules.clear_names, "def on_signal_handler(): ...\n", "def on_signal(): ...\n"),
    (rules.clear_names, "async def helper(): ...\n", "async def renew(): ...\n"),
    (rules.no_wall_clock, "import time\nnow = time.time()\n", "time.monotonic_ns()\n"),
    (rules.no_wall_clock, "datetime.datetime.now(tz)\n", "datetime.fromtimestamp(t_s, tz)\n"),
    (rules.no_sleep, "await asyncio.sleep(1)\n", "await event.wait()\n"),
    (rules.no_sleep, "from asyncio import sleep\n", "from asyncio import timeout_at\n"),
    (rules.no_simulation_switch, "if config.is_sim: x = 1\n", "if config.similar: x = 1\n"),
    (rules.no_simulation_switch, "x = 1 if simulation else 2\n", "simulation = 1\n"),
    (rules.pure_imports, "import time\n", "import struct\n"),
    (rules.pure_imports, "from os.path import join\n", "from realtime.wire import lines\n"),
    (rules.only_imports("msgpack"), "import numpy as np\n", "import struct, msgpack\n"),
    (rules.only_imports(), "from realtime import pedals\n", "from enum import IntEnum\n"),
    (rules.only_imports(), "from . import pedals\n", "import json.decoder\n"),
    (rules.tests_can_fail, "def test_x():\n    f()\n", "def test_x():\n    assert f()\n"),
    (rules.tests_can_fail, "assert a == b if c else d\n", "assert a == (b if c else d)\n"),
    (rules.tests_can_fail, "assert (a, 'said')\n", "assert a, 'said'\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "bad", "good"), BAD_AND_GOOD)
def test_a_rule_finds_the_bad_and_leaves_the_good(rule: rules.Rule, bad: str, good: str) -> None:
    assert rule(bad.replace("~", ""))
    assert not rule(good)


def test_a_finding_names_its_line() -> None:
    assert rules.no_sleep("x = 1\nawait asyncio.sleep(1)\n") == [(2, "asyncio.sleep")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DoseLedger", ["dose", "ledger"]),
        ("kv_peak", ["kv", "peak"]),
        ("HVHelper", ["hv", "helper"]),
        ("process2", ["process2"]),
    ],
)
def test_names_split_into_words(name: str, expected: list[str]) -> None:
    assert rules.words(name) == expected
