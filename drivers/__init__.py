"""Instrument drivers: plain, synchronous Python, one file per instrument.

A driver works in a notebook with no station around it. What the station asks of instruments is in
`drivers.interface`; the virtual instruments that speak the same wire protocols are in
`drivers.simulated`.
"""
