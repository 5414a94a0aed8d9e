"""Commands about files: `carm config check`, `carm blackbox show`.

Lives here: opening the file and printing.  May not live here: the formats (`realtime.wire`).
"""

from __future__ import annotations

import json
from pathlib import Path

from controller.cli.answer import refusal, refuse, show
from controller.cli.machine import checked
from realtime.wire.record import BlackBoxError
from realtime.wire.recordfile import row, walk


def check_config(path: Path, as_json: bool) -> int:
    """0, or a refusal that names the key."""
    config = checked(path, as_json)
    from controller.core.refusal import Refusal
    from controller.core.technique import from_config

    try:
        technique = from_config(config)
    except Refusal as misfit:
        refuse(misfit.body, as_json)
    body = {"schema": "carm.config_check/1", "file": str(path), "keys": len(config.values),
            "technique": technique.shown()}  # fmt: skip
    show(body, as_json, f"{path}: {len(config.values)} keys, all allowed; the technique fits")
    return 0


def show_blackbox(path: Path) -> int:
    """JSON lines, oldest first; a damaged record is a line of its own."""
    try:
        image = path.read_bytes()
        for entry in walk(image):
            print(json.dumps(row(entry)))
    except (OSError, BlackBoxError) as error:
        refuse(refusal("unreadable", "input", "file", str(path), "a black box, docs/black-box.md",
                       str(error)), False)  # fmt: skip
    return 0
