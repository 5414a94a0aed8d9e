"""What holds for every test: the Hypothesis profiles.

Warnings are errors (pyproject.toml); leaks fail a test (plugins/leaks.py). A fixture that serves
one folder only belongs into that folder's conftest.
"""

import os
import signal

import rich.default_styles
from hypothesis import HealthCheck, Phase, settings

# rich draws from the global generator when it is first imported, which it puts off as long as it
# can; inside a strategy Hypothesis takes that for a test that depends on chance.
assert rich.default_styles.DEFAULT_STYLES

# A shell starts what runs in its background deaf to Ctrl-C, and every process under test with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline: the machine may be busy, and time limits are judged where they are the subject.
_COMMON = settings(
    deadline=None, print_blob=True, derandomize=False, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("ci", _COMMON, max_examples=100)
settings.register_profile("deep", _COMMON, max_examples=5000)
# Under mutants only that a test fails matters, not its smallest example.
settings.register_profile(
    "mutants", _COMMON, max_examples=25, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
