"""Every driver with each byte of each reply struck, one at a time: `python -m benchmarks.conformance [NAME …]`.

Prints, for each driver and each kind of fault, what became of the trials. Takes an hour or so for all drivers.
Exits 1 where a driver took a wrong value for right, hung, started twice or let something out that is no
`InstrumentError`.
"""

from __future__ import annotations

import sys
import time

from drivers.testing import Kind, sweep
from tests.drivers.collect import all_cases


def main(names: list[str]) -> int:
    failures: list[str] = []
    for case in all_cases():
        if names and case.name not in names:
            continue
        for what, act in [("exchange", case.exchange), *([("start", case.start.act)] if case.start else [])]:
            for kind in Kind:
                began = time.monotonic()
                tally = sweep(case, [kind], act)
                failures += tally.failures
                print(
                    f"{case.name}, {what}, {kind.name.lower()}: {tally} ({time.monotonic() - began:.0f} s)", flush=True
                )
                for failure in tally.failures[:5]:
                    print(f"    {failure}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
