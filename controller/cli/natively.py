"""`--native`: the rest of a command on machine code, where this computer can make it.

Lives here: the option and what it says.  May not live here: compiling (`hil.native`).
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

Native = Annotated[
    bool, typer.Option("--native", help="on machine code, three times as fast; needs a C compiler")
]


def go_on_natively(wanted: bool) -> None:
    """Start this command again on machine code when that is wanted; does not return then.

    Without a compiler it says so and the command goes on in the interpreter: as true, but slower.
    """
    if not wanted:
        return
    from hil import native

    if native.is_native():
        return
    try:
        root = native.build(native.FOLDER, _say)
    except native.NativeUnavailable as lacking:
        _say(f"no machine code here: {lacking}\ngoing on in the interpreter")
        return
    native.go_on(root, sys.argv[1:])


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
