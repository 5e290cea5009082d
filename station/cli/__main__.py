"""`python -m station.cli` is `cellstation`."""

from station.cli import main

main()
