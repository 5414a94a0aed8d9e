"""`python -m hil.referee TRUTH`: the referee without the rest of the project.

Lives here: arguments and printing.  May not live here: judging.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hil.referee.commands import REFUSED, run_referee, table


def main() -> int:
    """Judge one log; 0 good, 1 judged bad, 2 refused."""
    parser = argparse.ArgumentParser(prog="hil.referee", description="judge a truth log")
    parser.add_argument("truth", type=Path)
    parser.add_argument("--blackbox", type=Path)
    parser.add_argument("--frames", type=Path, help="recorded frame headers, one JSON per line")
    parser.add_argument("--mqtt", type=Path, help="traffic, by carm service record")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    verdict, code = run_referee(asked.truth, asked.blackbox, asked.frames, asked.mqtt)
    if asked.json or code == REFUSED:
        print(json.dumps(verdict))
    else:
        print("\n".join(table(verdict)))
    return code


sys.exit(main())
