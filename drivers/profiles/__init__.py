"""Register maps of load-cell transmitters, one file each; see `drivers.load_cell_profile`."""
