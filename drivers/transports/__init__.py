"""Links to instruments: every exchange has a timeout, can be traced, and reconnects with back-off."""

from drivers.transports.link import Backoff, Tap, wire_log
from drivers.transports.visa import VisaLine

__all__ = ["Backoff", "Tap", "VisaLine", "wire_log"]
