"""From readings to the numbers of a paper: pure functions of arrays, with uncertainties, for scripts and notebooks."""
