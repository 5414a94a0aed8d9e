"""Modules that wait until they are asked for."""

import sys
from pathlib import Path

import pytest

from controller.cli.lazily import lazily


def test_a_module_is_loaded_by_its_first_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_subject.py").write_text("import sys\nsys.loaded_slowly = True\nanswer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        subject = lazily("slow_subject")
        assert not hasattr(sys, "loaded_slowly")
        assert lazily("slow_subject") is subject
        assert subject.answer == 42
        assert hasattr(sys, "loaded_slowly")
    finally:
        sys.modules.pop("slow_subject", None)
        if hasattr(sys, "loaded_slowly"):
            delattr(sys, "loaded_slowly")


def test_a_module_that_does_not_exist_is_told_at_once() -> None:
    with pytest.raises(ImportError):
        lazily("no_such_subject_of_ours")
