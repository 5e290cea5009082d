"""`python -m benchmarks [NAME …]` runs all, or those named."""

from __future__ import annotations

import sys

from benchmarks import (
    conversion,
    coverage,
    cycles,
    driver_overhead,
    forecast,
    impedance,
    library,
    sequencer,
    store,
    trip_latency,
)

ALL = {
    "conversion": conversion.main,
    "coverage": coverage.main,
    "cycles": cycles.main,
    "driver_overhead": driver_overhead.main,
    "forecast": forecast.main,
    "impedance": impedance.main,
    "library": library.main,
    "sequencer": sequencer.main,
    "store": store.main,
    "trip_latency": trip_latency.main,
}


def main() -> int:
    wanted = sys.argv[1:] or list(ALL)
    if unknown := [name for name in wanted if name not in ALL]:
        print(f"no benchmark '{unknown[0]}'; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    for name in wanted:
        ALL[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
