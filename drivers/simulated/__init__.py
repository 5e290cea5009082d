"""Virtual instruments: TCP servers that speak the real wire protocols, wired to simulated cells."""
