"""The protocol language: steps, units, checks, and the library of ready protocols."""
