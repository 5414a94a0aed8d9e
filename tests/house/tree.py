"""Where things are: the files the house rules look at, and the lists of `pyproject.toml`.

Lives here: finding files and reading lists, each list in one place. May not live here: a rule.
"""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("controller", "realtime", "hil")
CODE = (*PACKAGES, "bench")
TOP_LEVEL = frozenset({
    "pyproject.toml", "Makefile", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore", ".ci",
    "controller", "realtime", "hil", "tests", "systemd", "docs", "bench",
})  # fmt: skip

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CLOCK_MODULES: dict[str, str] = PROJECT["tool"]["carm"]["clock_modules"]
SLEEP_ALLOWED: dict[str, str] = PROJECT["tool"]["carm"]["sleep_allowed"]


def python_files(*tops: str) -> list[Path]:
    """Every Python file below the given top-level folders, absolute, sorted."""
    found = (path for top in tops for path in (ROOT / top).rglob("*.py"))
    return sorted(path for path in found if "__pycache__" not in path.parts)


def relative(path: Path) -> str:
    """The path as people write it: from the top of the project."""
    return path.relative_to(ROOT).as_posix()


def impure_realtime() -> list[Path]:
    """Files of `realtime/` that may touch a clock or the outside; coverage omits the same."""
    omit: list[str] = PROJECT["tool"]["coverage"]["run"]["omit"]
    return sorted(path for pattern in omit for path in ROOT.glob(pattern))


def pure_realtime() -> list[Path]:
    """Files of `realtime/` that only compute. Whatever is not listed as impure is pure."""
    return [path for path in python_files("realtime") if path not in impure_realtime()]


def twin(path: Path) -> Path:
    """The test file that alone answers for a file of the pure core."""
    inside = path.relative_to(ROOT / "realtime")
    return ROOT / "tests" / "realtime" / inside.with_name(f"test_{inside.name}")


def tracked() -> list[Path]:
    """Files under version control; in a tree without it, every file that is not made by us."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        made = {".git", ".venv", "out", "__pycache__"}
        every = (path for path in ROOT.rglob("*") if path.is_file())
        return [path for path in every if not made & set(path.relative_to(ROOT).parts)]
    named = (ROOT / name for name in listing.split("\0") if name)
    return [path for path in named if path.is_file()]
