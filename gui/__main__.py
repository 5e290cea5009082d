"""`python -m gui URL`: the dashboard in a process of its own; the token comes from CELLSTATION_TOKEN."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gui.app import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gui", description="The Cellstation dashboard.")
    parser.add_argument("url", help="of the running station")
    parser.add_argument("--screenshot", type=Path, help="write a picture of the window to this file")
    parser.add_argument("--seconds", type=float, help="close after so long")
    given = parser.parse_args()
    return run(given.url, os.environ.get("CELLSTATION_TOKEN", ""), screenshot=given.screenshot, seconds=given.seconds)


sys.exit(main())
