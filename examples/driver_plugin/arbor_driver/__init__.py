"""Cellstation driver for the Arbor TX-7 thermometer (made up)."""
