"""The dashboard: a client of the running station."""
