"""Calibrations of pressure sensors at the bench: the sessions that go on, their instruments and their files."""

from station.calibrating.desk import Desk as Desk
from station.calibrating.session import Session as Session
from station.calibrating.session import SessionError as SessionError
