"""`carm` as at the prompt, in this process: a new one for each call costs half a second.

Lives here: that one function.  May not live here: assertions.
"""

from __future__ import annotations

import functools
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

import pytest

from controller.cli import main


@functools.cache
def installed() -> None:
    """The commands of `carm`, added once: in this process it is started again and again."""
    main._install_judges()


def carm(*words: str) -> subprocess.CompletedProcess[str]:
    """`carm` as at the prompt, in this process: exit code and what it printed."""
    installed()
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["carm", *words]),
        mock.patch.object(main, "_install_judges", return_value=None),
        redirect_stdout(out), redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):  # fmt: skip
        main.main()
    return subprocess.CompletedProcess(words, int(left.value.code or 0), out.getvalue(),
                                       err.getvalue())  # fmt: skip
