"""What instruments of the field say to *IDN?, with the makers' several spellings, and which driver takes them."""

import re

import pytest

from drivers.ea_scpi import EaScpi
from drivers.itech import ItechBidirectional
from drivers.keithley2000 import Keithley2000
from drivers.keithley2400 import Keithley2400
from drivers.keithley2450 import Keithley2450, Keithley2460
from drivers.keithley2600b import Keithley2600B
from drivers.keithley2700 import Keithley2700
from drivers.keithley_daq6510 import KeithleyDaq6510
from drivers.keithley_dmm6500 import KeithleyDmm6500
from drivers.keysight3446x import Keysight3446x
from drivers.keysight34970a import Keysight34970A
from drivers.scpi import read_switch
from drivers.scpi_switch import Keysight34970Switch

DRIVERS = (
    EaScpi,
    ItechBidirectional,
    Keithley2000,
    Keithley2400,
    Keithley2450,
    Keithley2460,
    Keithley2600B,
    Keithley2700,
    KeithleyDaq6510,
    KeithleyDmm6500,
    Keysight3446x,
    Keysight34970A,
)


@pytest.mark.parametrize(
    ("identity", "driver"),
    [
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2000,1308393,A20  /A02", Keithley2000),
        ("KEITHLEY INSTRUMENTS INC., MODEL 2400, 1175680, C30   Mar 17 2006 09:29:29/A02  /K/J", Keithley2400),
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2400,0824071,C34 Sep 21 2016 15:30:00/A02  /H/H", Keithley2400),
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2420,1230523,C30   Mar 17 2006 09:29:29/A02  /H/L", None),
        ("KEITHLEY INSTRUMENTS, MODEL 2450,01419966,1.6.4c", Keithley2450),
        ("KEITHLEY INSTRUMENTS,MODEL 2450,04488850,1.7.3c", Keithley2450),
        ("KEITHLEY INSTRUMENTS,MODEL 2460,04686198,1.7.16a", Keithley2460),
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2602B,1398987,3.2.0", Keithley2600B),
        ("Keithley Instruments Inc., Model 2604B, 4301578, 3.3.3", Keithley2600B),
        ("Keithley Instruments Inc., Model 2602B-L, 4301578, 3.3.3", Keithley2600B),
        ("Keithley Instruments Inc., Model 2636B, 4301578, 3.3.3", None),
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2700,4389666,B10  /A02", Keithley2700),
        ("KEITHLEY INSTRUMENTS INC.,MODEL 2701,DEV001,A09/A02", Keithley2700),
        ("KEITHLEY INSTRUMENTS, MODEL DAQ6510,04388991,0.0.03", KeithleyDaq6510),
        ("KEITHLEY INSTRUMENTS,MODEL DMM6500,04429995,1.0.04b", KeithleyDmm6500),
        ("Keysight Technologies,34465A,MY57515053,A.02.17-02.40-02.17-00.52-04-01", Keysight3446x),
        ("Agilent Technologies,34461A,MY53200001,A.01.08-02.22-00.08-00.35-01-01", Keysight3446x),
        ("HEWLETT-PACKARD,34970A,0,9-1-2", Keysight34970A),
        ("Agilent Technologies,34972A,MY59000704,1.17-1.12-02-02", Keysight34970A),
        ("Keysight Technologies,34972A,MY59000704,1.17-1.12-02-02", Keysight34970A),
        ("EA Elektro-Automatik GmbH & Co. KG, PSB 10060-60, 2538170001, FW", EaScpi),
        ("EA ELEKTRO-AUTOMATIK,PSB 10060-60 2U,1,KE 3.10", EaScpi),
        ("EA Elektro-Automatik GmbH & Co. KG, PS 9040-20 T, 2815490123,V2.09 4.10,", None),
        ("ITECH Ltd., IT-M3412, 803012345678901234, 1.08", ItechBidirectional),
        ("ITECH,IT-M3910D-32-240,800, 1.0", ItechBidirectional),
        ("ITECH Ltd., IT6015C-80-450, 800, 1.0", ItechBidirectional),
        ("ITECH Ltd., IT6332A, 802071092767310443, 1.11-1.08", None),
        ("ITECH Ltd., IT8512A+, 800, 1.0", None),
    ],
)
def test_each_identity_is_taken_by_its_driver_alone(identity, driver):
    taken = [kind for kind in DRIVERS if re.match(kind.identity, identity, re.IGNORECASE)]
    assert taken == ([driver] if driver else [])
    assert bool(re.match(Keysight34970Switch.identity, identity, re.IGNORECASE)) == (driver is Keysight34970A)


@pytest.mark.parametrize(("told", "state"), [("0", False), ("1", True), ("+1", True), ("OFF", False), ("on", True)])
def test_states_as_the_makers_tell_them(told, state):
    assert read_switch(told) is state


@pytest.mark.parametrize("told", ["", "2", "01", "O", "-1", "1.0", "ONE"])
def test_what_is_no_state(told):
    with pytest.raises(ValueError, match="0 or 1"):
        read_switch(told)
