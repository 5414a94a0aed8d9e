"""Fixtures of the wires: a fast kernel socket needs a short path.

Lives here: what several files of this folder share.  May not live here: processes.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A run directory whose path fits a Unix socket name, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="carm-"))
    yield path
    shutil.rmtree(path)
