"""Coverage counts where the twins are: in `tests/realtime`, and nowhere else.

Lives here: which tests are watched.  May not live here: which files must be covered
(`pyproject.toml`).  Each file of the core owes every branch to its own twin, so lines that only a
world in virtual time happens to pass do not count; and watching makes such a world three times
slower, which is a third of the whole run.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

TWINS = ("tests", "realtime")


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Mark what is not to be watched; pytest-cov looks away while it runs."""
    for item in items:
        if Path(item.path).relative_to(config.rootpath).parts[:2] != TWINS:
            item.add_marker(pytest.mark.no_cover)
