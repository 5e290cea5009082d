"""Broken protocol files: each with what is said of it, and where.

In a text, » stands just before what the message points at, and is taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = "protocol: x\nsteps:\n"
CELL = """\
cell: coin-1
active_mass: 2 mg
electrode_area: 0.5 cm^2
nominal_capacity: 4 mAh
state_of_charge: 0 %
reference: Li-In
limits: {voltage: [0 V, 4 V], current: 10 mA, pressure: {above: 1.5 MPa}, temperature: {above: 80 degC}}
"""
BARE_CELL = "cell: bare\n"
PROTOCOL = """\
protocol: Two cycles
source: a paper
parameters: {cycles: 2, rate: 0.2 C}
record: {every: 30 s, change: [5 mV, 2 kPa]}
limits: {voltage: [0 V, 4 V], current: 5 mA, pressure: {above: 1.5 MPa}}
steps:
  - rest: {for: 4 h}
  - impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV}
  - repeat: ${cycles}
    steps:
      - name: formation
        discharge: {at: "${rate}", until: {voltage: 0.02 V, pressure: {above: 600 kPa}}}
      - charge: {at: 1 mA/cm^2, hold: 2 V, until: {current: 0.05 C}}
      - hold: {at: 1 V, limit: 175 mA/g, for: 10 min}
"""
GOOD_CURRENTS = "time / s,current / A\n0,0.001\n10,0\n"
FILES = {
    "itself.yaml": "protocol: i\nsteps:\n  - include: itself.yaml\n",
    "ring-a.yaml": "protocol: a\nsteps:\n  - include: ring-b.yaml\n",
    "ring-b.yaml": "protocol: b\nsteps:\n  - include: ring-a.yaml\n",
    "broken.yaml": "protocol: b\nsteps:\n  - rest: {for: 1 zz}\n",
    "formation.yaml": "protocol: f\nparameters: {n: 1}\nsteps:\n  - repeat: ${n}\n    steps: [rest: {for: 1 h}]\n",
    "markers.yaml": "protocol: m\nmarkers: [{name: m, every: 1 h}]\nsteps:\n  - rest: {for: 1 h}\n",
    "good.csv": GOOD_CURRENTS,
    "no-columns.csv": "t,i\n0,1\n",
    "no-current.csv": "time / s,voltage / V\n0,1\n",
    "empty.csv": "",
    "one-row.csv": "time / s,current / A\n0,0.001\n",
    "words.csv": "time / s,current / A\n0,0.001\nten,0\n",
    "nan.csv": "time / s,current / A\n0,nan\n10,0\n",
    "backwards.csv": "time / s,current / A\n0,0.001\n10,0.002\n5,0\n",
    "late.csv": "time / s,current / A\n5,0.001\n10,0\n",
    "short.csv": "time / s,current / A\n0,0.001\n10\n",
    "large.csv": "time / s,current / A\n0,5\n10,0\n",
}


@dataclass(frozen=True)
class Broken:
    """A file with `»` where the message should point; or `where` is the file beside it, with the place there."""

    text: str
    said: str
    cell: str = CELL
    where: str = ""

    @property
    def plain(self) -> str:
        return self.text.replace("»", "")

    def place(self, file: str) -> str:
        """'file:line:column'; the beginning where nothing is marked."""
        before, mark, _ = self.text.partition("»")
        line, column = (before.count("\n") + 1, len(before) - before.rfind("\n")) if mark else (1, 1)
        return self.where or f"{file}:{line}:{column}"


def _edited(old: str, new: str, said: str) -> Broken:
    assert PROTOCOL.count(old) == 1, old
    return Broken(PROTOCOL.replace(old, new), said)


def _step(step: str, said: str, **others: str) -> Broken:
    return Broken(f"{HEAD}  - {step}\n", said, **others)


NOT_YAML = [
    Broken("", "is empty or not a mapping"),
    Broken("\n\n\n", "is empty or not a mapping"),
    Broken("# nothing but words\n", "is empty or not a mapping"),
    Broken("just words", "is empty or not a mapping"),
    Broken("5", "is empty or not a mapping"),
    Broken("- a\n- b\n", "is empty or not a mapping"),
    Broken("null", "is empty or not a mapping"),
    Broken("---\n...\n", "is empty or not a mapping"),
    Broken("protocol: x\n»---\nprotocol: y\n", "a second document begins here"),
    Broken("protocol: x\nsteps:\n»\t- rest: {for: 1 h}\n", "a tab; YAML is indented with spaces"),
    Broken("protocol: x\nsteps:\n  - rest:\n»\t  for: 1 h\n", "a tab; YAML is indented with spaces"),
    Broken("steps: [»", "the file ends too early; is a bracket not closed?"),
    Broken("steps: »]", "expected the node content, but found ']'"),
    Broken(
        "protocol: x\nsteps:\n  - rest: {for: 1 h\n  - rest»: {for: 1 h}\n", "a closing bracket is missing before this"
    ),
    Broken("protocol: x\nsteps:\n  - rest: {for: 1 h}\n   »- rest: {for: 1 h}\n", "indented as its neighbours are"),
    Broken("protocol: x\nsteps:\n  - rest: {for: 1 h}\n »- rest: {for: 1 h}\n", "indented as its neighbours are"),
    Broken("protocol: x\nsteps:\n  - rest: {for: 1 h}»}\n", "found '}'"),
    Broken("protocol: 'x»", "is a quote not closed?"),
    Broken('protocol: "x\nsteps: []\n»', "is a quote not closed?"),
    Broken("protocol: x»: y\n", "a ':' that does not belong here"),
    Broken("protocol: x\n steps»: []\n", "a ':' that does not belong here"),
    Broken("protocol: »@x\n", "needs quotes around it"),
    Broken("protocol: »`x`\n", "needs quotes around it"),
    Broken("protocol: »%x\n", "needs quotes around it"),
    Broken("protocol: x\n»protocol: y\nsteps: []\n", 'found duplicate key "protocol"'),
    Broken("protocol: x\nsteps:\n  - rest: {for: 1 h, »for: 2 h}\n", 'found duplicate key "for"'),
    Broken("protocol: »*nobody\n", "found undefined alias 'nobody'"),
    Broken("protocol: a »\x07 bell\n", "a character that YAML does not allow, U+0007"),
    Broken("protocol: »\x00\n", "a character that YAML does not allow, U+0000"),
    Broken("protocol: !!python/object:os.system x\n»steps: []\n", "at least 1 item"),
    Broken("»protocol: !mine x\n", "'steps' is missing"),
    Broken("? [a, b]\n: c\n", "'protocol' is missing"),
    Broken("{[a]: b}", "is not known here"),
    Broken("- " * 900, "is nested too deeply"),
    Broken("{" * 900, "is nested too deeply"),
    Broken("&a [*a]", "is nested too deeply"),
    Broken("x: &a {<<: *a}", "an alias that refers to itself"),
    Broken("»%YAML 3.0\n---\na: 1", "incompatible YAML document"),
    Broken("a: 2001-99-99", "is not YAML: month must be in 1..12"),
    Broken("!!int foo", "is not YAML: invalid literal for int()"),
    Broken(
        "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))]),
        "too many parts",
    ),
]

AROUND_THE_STEPS = [
    Broken("»steps:\n  - rest: {for: 1 h}\n", "'protocol' is missing"),
    Broken("»protocol: x\n", "'steps' is missing"),
    Broken("protocol: x\n»steps: []\n", "'steps': tuple should have at least 1 item"),
    Broken("protocol: x\n»steps:\n", "'steps'"),
    Broken("protocol: x\n»steps: rest\n", "'steps' is a list, not 'rest'"),
    Broken("protocol: x\n»steps: {rest: {for: 1 h}}\n", "'steps' is a list"),
    Broken("»protocol: 2024\nsteps:\n  - rest: {for: 1 h}\n", "'protocol': input should be a valid string"),
    Broken("»protocol:\nsteps:\n  - rest: {for: 1 h}\n", "'protocol': input should be a valid string"),
    _edited("source:", "»sorce:", "'sorce' is not known here; did you mean 'source'?"),
    _edited("limits:", "»limit:", "did you mean 'limits'?"),
    _edited("record:", "»recording:", "did you mean 'record'?"),
    _edited(
        "limits: {voltage: [0 V, 4 V]", "»limits: {voltage: [4 V, 0 V]", "the voltage limits are in the wrong order"
    ),
    _edited("limits: {voltage: [0 V, 4 V]", "»limits: {voltage: 4 V", "voltage limits are a pair"),
    _edited("[0 V, 4 V]", "[0 V, »4]", "4 has no unit; write it like '4 V'"),
    _edited("[0 V, 4 V]", "[»0 A, 4 V]", "'0 A' is not a voltage"),
    _edited("[0 V, 4 V]", "[»-.inf, 4 V]", "-inf has no unit"),
    _edited("[0 V, 4 V]", "[».nan, 4 V]", "has no unit"),
    _edited("[0 V, 4 V]", "[0 V, »1e999 V]", "is too large for a voltage"),
    _edited(
        "limits: {voltage: [0 V, 4 V], current: 5 mA",
        "»limits: {voltage: [0 V, 4 V], current: 0 mA",
        "the current limit is a magnitude above zero",
    ),
    _edited(
        "limits: {voltage: [0 V, 4 V], current: 5 mA",
        "»limits: {voltage: [0 V, 4 V], current: -5 mA",
        "the current limit is a magnitude above zero",
    ),
    _edited("pressure: {above: 1.5 MPa}", "»pressure: 1.5 MPa", "'pressure' is a mapping"),
    _edited("{above: 1.5 MPa}", "{»over: 1.5 MPa}", "'over' is not known here; did you mean 'above'?"),
    _edited(
        "limits: {voltage: [0 V, 4 V], current: 5 mA, pressure: {above: 1.5 MPa}}",
        "»limits: {pressure: {above: 1 kPa, below: 2 kPa}}",
        "the pressure limits are in the wrong order",
    ),
    _edited("every: 30 s", "»every: 30", "30 has no unit; write it like '30 s'"),
    _edited("every: 30 s", "»every: 0 s", "'every': input should be greater than 0"),
    _edited("every: 30 s", "»every: -30 s", "'every': input should be greater than 0"),
    _edited("every: 30 s", "»every: 30 V", "'30 V' is not a time; a unit like s is wanted"),
    _edited("every: 30 s", "»every: .nan", "has no unit"),
    _edited("change: [5 mV, 2 kPa]", "»change: 5 mV", "'change' is a list"),
    _edited(
        "record: {every: 30 s, change: [5 mV, 2 kPa]",
        "»record: {change: [5 mV, 2 kg]",
        "'2 kg' is no change of voltage (5 mV)",
    ),
    _edited(
        "record: {every: 30 s, change: [5 mV, 2 kPa]", "»record: {change: [0 mV]", "a change to record at is above zero"
    ),
    _edited(
        "record: {every: 30 s, change: [5 mV, 2 kPa]",
        "»record: {change: [5 mV, 1 mV]",
        "there is a change of voltage already",
    ),
    _edited("parameters: {cycles: 2, rate: 0.2 C}", "»parameters: [2]", "parameters are written {name: value}"),
    _edited("parameters: {cycles: 2,", "»parameters: {cycles: [2],", "parameter 'cycles' is [2]"),
    Broken(
        PROTOCOL.replace("cycles: 2", "cycles: many").replace("repeat: $", "»repeat: $"),
        "'repeat': input should be a valid integer",
    ),
    _edited("cycles: 2,", "cycles: 2, »nights: 3,", "parameter 'nights' is used nowhere"),
    _edited("- repeat: ${cycles}", "- »repeat: ${nights}", "'${nights}' is not among the parameters"),
    _edited('at: "${rate}"', '»at: "${rates}"', "'${rates}' is not among the parameters"),
    Broken(
        PROTOCOL.replace("rate: 0.2 C", "rate: 0.2 V").replace('at: "$', '»at: "$'),
        "'0.2 V' is not a current",
    ),
    Broken("protocol: x\nmarkers: [»{name: m}]\nsteps:\n  - rest: {for: 1 h}\n", "give exactly one of at, every"),
    Broken("protocol: x\nmarkers: [{name: m, »every: 1}]\nsteps:\n  - rest: {for: 1 h}\n", "1 has no unit"),
    Broken("protocol: x\nmarkers: [»{every: 1 h}]\nsteps:\n  - rest: {for: 1 h}\n", "'name' is missing"),
    Broken("protocol: x\nlimits: {»temperature: 60 degC}\nsteps:\n  - rest: {for: 1 h}\n", "is a mapping"),
]

UNITS = [
    _step("rest: {»for: 4 zz}", "'zz' in '4 zz' is not a unit; one like s is wanted"),
    _step("rest: {»for: 4}", "4 has no unit; write it like '4 s'"),
    _step("rest: {»for: '4'}", "'4' has no unit; write it like '4 s'"),
    _step("rest: {»for: long}", "'long' is not a time; write it like '1 s'"),
    _step("rest: {»for: 4 V}", "'4 V' is not a time; a unit like s is wanted"),
    _step("rest: {»for: 0 s}", "input should be greater than 0"),
    _step("rest: {»for: -1 h}", "input should be greater than 0"),
    _step("rest: {»for: true}", "True is not a time; write it like '1 s'"),
    _step("rest: {»for: [1 h]}", "is not a time"),
    _step("rest: {»for: {h: 1}}", "is not a time"),
    _step("rest: {»for: .nan}", "nan has no unit"),
    _step("rest: {»for: nan s}", "'nan s' is not a time"),
    _step("rest: {»for: .inf}", "inf has no unit"),
    _step("rest: {»for: 1e400 s}", "'1e400 s' is too large for a time"),
    _step("rest: {»for: 1,5 h}", "1 has no unit"),
    _step("rest: {»for: '1,5 h'}", "',5 h' in '1,5 h' is not a unit"),
    _step("rest: {»for: 1 h 30 min}", "is not a unit"),
    _step("rest: {»for: 01:30:00}", "is not a"),
    _step("rest: {»for: 1 __import__('os')}", "is not a unit"),
    _step("charge: {»at: 1 V, for: 1 h}", "'1 V' is not a current, such as '1 mA'"),
    _step("charge: {»at: 1, for: 1 h}", "'1' is not a current"),
    _step("charge: {»at: fast, for: 1 h}", "'fast' is not a current"),
    _step("charge: {»at: C/0, for: 1 h}", "'C/0' is not a rate"),
    _step("charge: {»at: 1e308 C, for: 1 h}", "1e308 C is inf mA and not below the limit"),
    _step("charge: {»at: 1e400 C, for: 1 h}", "is not a rate"),
    _step("charge: {»at: 0.5 mA/cm, for: 1 h}", "'0.5 mA/cm' is not a current"),
    _step("charge: {at: 1 mA, until: {»voltage: 2 A}}", "'2 A' is not a voltage; a unit like V is wanted"),
    _step("charge: {at: 1 mA, until: {»voltage: 2}}", "2 has no unit; write it like '2 V'"),
    _step("charge: {at: 1 mA, until: {»capacity: 0.5 C}}", "may mean coulombs or a part of the capacity"),
    _step("charge: {at: 1 mA, until: {»capacity: 3 V}}", "'3 V' is not a capacity"),
    _step("charge: {at: 1 mA, until: {»state_of_charge: 0.5}}", "0.5 is not a share; write it like '80 %'"),
    _step("charge: {at: 1 mA, for: 1 h, until: {pressure: {»above: 600}}}", "600 has no unit; write it like '600 Pa'"),
    _step("charge: {at: 1 mA, for: 1 h, until: {»energy: 3 mAh}}", "'3 mAh' is not an energy"),
    _step("charge: {at: 1 mA, for: 1 h, until: {»dV/dt: 1 mV}}", "'1 mV' is not a change of voltage with time"),
    _step("charge: {»power: 5 mA, for: 1 h}", "'5 mA' is not a power"),
    _step("discharge: {»resistance: 5 V, for: 1 h}", "'5 V' is not a resistance"),
    _step("impedance: {»from: 1 MV, to: 0.1 Hz, amplitude: 10 mV}", "'1 MV' is not a frequency"),
    _step("impedance: {from: 1 MHz, »to: 0 Hz, amplitude: 10 mV}", "'to': input should be greater than 0"),
    _step("impedance: {from: 1 MHz, to: 1 Hz, »amplitude: 10}", "10 has no unit; write it like '10 V'"),
    _step("impedance: {from: 1 MHz, to: 1 Hz, »amplitude: 10 s}", "'10 s' is not an amplitude"),
    _step("impedance: {from: 1 MHz, to: 1 Hz, »amplitude: -10 mV}", "greater than 0"),
    _step("linear_sweep: {to: 3 V, »rate: 1 mV}", "'1 mV' is not a change of voltage with time"),
    _step("linear_sweep: {to: 3 V, »rate: 0 mV/s}", "'rate': input should be greater than 0"),
    _step("temperature: {»set: 60}", "60 has no unit"),
    _step("temperature: {set: 60 degC, »within: 1 degC}", "'1 degC' is a temperature"),
    _step("stack_pressure: {»set: 5 V, within: 1 kPa}", "'5 V' is not a pressure"),
]

KEYS = [
    _step("»rset: {for: 4 h}", "'rset' is not known here; did you mean 'rest'?"),
    _step("rest: {»fro: 4 h}", "'fro' is not known here; did you mean 'for'?"),
    _step("»rest: 4 h", "'rest' is a mapping of keys to values, not '4 h'"),
    _step("»rest", "each item here is a mapping of keys to values, not 'rest'"),
    _step("»null", "each item here is a mapping of keys to values, not None"),
    _step("»5", "each item here is a mapping of keys to values, not 5"),
    _step("»{name: nothing}", "a step is exactly one of"),
    _step("»{rest: {for: 1 h}, hold: {at: 1 V}}", "a step is exactly one of"),
    _step("»{rest: {for: 1 h}, repeat: 3}", "'repeat' and 'steps' belong together"),
    _step("»{rest: {for: 1 h}, until: {retention: 80 %}}", "'until' beside a technique ends nothing"),
    _step("»{name: trip, rest: {for: 1 h}}", "'trip' says what follows an end and cannot name a step"),
    _step("{»name: '', rest: {for: 1 h}}", "'name'"),
    _step("{»repeat: 0, steps: [rest: {for: 1 s}]}", "input should be greater than or equal to 1"),
    _step("{»repeat: 2.5, steps: [rest: {for: 1 s}]}", "input should be a valid integer"),
    _step("{»repeat: .inf, steps: [rest: {for: 1 s}]}", "input should be a finite number"),
    _step("{repeat: 2, »steps: []}", "at least 1 item"),
    _step("{repeat: 2, »steps: {rest: {for: 1 s}}}", "'steps' is a list"),
    _step("{rest: {for: 1 s}, »every: often}", "'often' is no count; write '10 cycles'"),
    _step("{rest: {for: 1 s}, »every: 0 cycles}", "is no count"),
    _step("{rest: {for: 1 s}, »first: -3 passes}", "is no count"),
    _step("»charge: {for: 1 h}", "give exactly one of at, power, resistance"),
    _step("»charge: {at: 1 mA, power: 1 mW, for: 1 h}", "give exactly one of at, power, resistance"),
    _step("»charge: {power: 1 mW, hold: 3 V, for: 1 h}", "'hold' follows a constant current; give 'at'"),
    _step("»hold: {for: 1 h}", "'at' is missing"),
    _step("charge: {at: 1 mA, until: {»voltage: {above: 2 V, below: 1 V}}}", "give one voltage"),
    _step("charge: {at: 1 mA, until: {»voltage: {}}}", "give one voltage"),
    _step("charge: {at: 1 mA, until: {»pressure: 600 kPa}}", "say which way: {above: 600 kPa}"),
    _step("charge: {at: 1 mA, until: {»pressure: {}}}", "give {above: 600 kPa}"),
    _step("charge: {at: 1 mA, until: {»pressure: {above: 1 kPa, below: 2 kPa}}}", "every value ends this step"),
    _step("charge: {at: 1 mA, until: {»preasure: {above: 1 kPa}}}", "did you mean 'pressure'"),
    _step("charge: {at: 1 mA, until: [{voltage: 2 V}, {»voltge: 2 V}]}", "did you mean 'voltage'"),
    _step("charge: {at: 1 mA, until: [»voltage]}", "each item here is a mapping"),
    _step("charge: {at: 1 mA, »until: 2 V}", "is a mapping of keys to values, not '2 V'"),
    _step("charge: {at: 1 mA, for: 1 h, until: {»cycles: 0}}", "greater than or equal to 1"),
    _step("charge: {at: 1 mA, for: 1 h, until: {»retention: {of_cycle: 2}}}", "'below' is missing"),
    _step("»impedance: {from: 1 MHz, to: 0.1 Hz}", "'amplitude' is missing"),
    _step("impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, »points_per_decade: 0}", "greater than or equal"),
    _step("impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, »points_per_decade: 1e9}", "less than or equal"),
    _step("»impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 1 mA, at: 1 V}", "a GEIS has a 'bias_current'"),
    _step("»impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 1 mV, bias_current: 1 mA}", "a PEIS has a bias 'at'"),
    _step(
        "impedance: {from: 1 MHz, to: 1 Hz, amplitude: 10 mV, »staircase: {at: 1 mA}}", "give exactly one of potential"
    ),
    _step("impedance: {from: 1 MHz, to: 1 Hz, amplitude: 10 mV, »staircase: {state_of_charge: [50 %]}}", "needs 'at'"),
    _step("gitt: {»direction: up, at: 1 mA, pulse: 1 h, rest: 1 h, until: {voltage: 3 V}}", "'direction'"),
    _step("»gitt: {direction: charge, at: 1 mA, pulse: 1 h, rest: 1 h}", "'until' is missing"),
    _step("»pitt: {from: 3 V, to: 3.5 V}", "'step' is missing"),
    _step("»current_ramp: {from: 1 mA, to: 2 mA, step: 1 mA, stop: {voltage_drop: 1 mV}}", "exactly one of duration"),
    _step("rest: {for: 1 h, until: {»short_circuit: {}}}", "a rest shows no short circuit"),
    _step("charge: {at: 1 mA, until: {short_circuit: {»drop: 100 %}}}", "less than 1"),
    _step("»profile: {scale: 2}", "'file' is missing"),
    _step("profile: {file: good.csv, »scale: 0}", "input should be greater than 0"),
    _step("»condition_pressure: {at_most: 1 h}", "give 'reach: {above: 500 kPa}'"),
    _step("»temperature: {within: 1 K}", "'set' is missing"),
    _step("»prompt: ''", "'say': string should have at least 1 character"),
    _step("»marker: {trigger: true}", "'name' is missing"),
    _step("»include: {set: {n: 1}}", "'file' is missing"),
    _step("{»markers: {name: m, at: 1 h}, rest: {for: 1 h}}", "'markers' is a list"),
    _step("{markers: [»{name: m, at: 1 h, every: 1 h}], rest: {for: 1 h}}", "give exactly one of at, every"),
]

CELLS = [
    _step("charge: {»at: 1 mA/cm^2, for: 1 h}", "'1 mA/cm^2' needs the cell's electrode_area", cell=BARE_CELL),
    _step("charge: {»at: 1 mA/g, for: 1 h}", "'1 mA/g' needs the cell's active_mass", cell=BARE_CELL),
    _step("charge: {»at: C/10, for: 1 h}", "'C/10' needs the cell's nominal_capacity", cell=BARE_CELL),
    _step("charge: {at: 1 mA, until: {»capacity: 1 mAh/g}}", "needs the cell's active_mass", cell=BARE_CELL),
    _step("charge: {at: 1 mA, until: {»capacity: 1 mAh/cm^2}}", "needs the cell's electrode_area", cell=BARE_CELL),
    _step("charge: {at: 1 mA, until: {»state_of_charge: 50 %}}", "needs the cell's 'state_of_charge'", cell=BARE_CELL),
    _step("hold: {»at: 1 V vs Li+/Li, for: 1 h}", "needs the cell's 'reference'", cell=BARE_CELL),
    _step("hold: {»at: 1 V vs SHE, for: 1 h}", "'SHE' is no reference that is known here"),
    _step("linear_sweep: {»to: 1 V vs OCV, rate: 1 mV/s}", "'vs OCV' is for a hold"),
    _step("charge: {»at: 11 mA, for: 1 h}", "11 mA is 11 mA and not below the limit of 10 mA"),
    _step("charge: {»at: 10 mA, for: 1 h}", "not below the limit"),
    _step("discharge: {»at: 3 C, for: 1 h}", "3 C is 12 mA and not below the limit of 10 mA"),
    _step("charge: {»at: 0 mA, for: 1 h}", "a current of zero drives nothing; use 'rest'"),
    _step("charge: {»at: -1 mA, for: 1 h}", "'-1 mA' is negative; the direction is said by 'charge'"),
    _step("charge: {»at: -0.5 mA/cm^2, for: 1 h}", "is negative"),
    _step("charge: {»at: -0.2 C, for: 1 h}", "'-0.2 C' is not a current"),
    _step("hold: {»at: 4.1 V, for: 1 h}", "4.1 V is not inside the limits of 0 V to 4 V"),
    _step("hold: {»at: 4 V, for: 1 h}", "4 V is not inside the limits"),
    _step("hold: {»at: -0.1 V vs Li-In, for: 1 h}", "-0.1 V is not inside the limits"),
    _step("hold: {at: 1 V, »limit: 0 mA, for: 1 h}", "a current limit of zero lets nothing flow"),
    _step("hold: {at: 1 V, »limit: 20 mA, for: 1 h}", "20 mA is 20 mA and not below the limit of 10 mA"),
    _step("charge: {at: 1 mA, »hold: 4.2 V, for: 1 h}", "4.2 V is not inside the limits"),
    _step("charge: {at: 1 mA, until: {»voltage: 4 V}}", "4 V is not inside the limits"),
    _step("charge: {at: 1 mA, until: {voltage: {»above: 5 V}}}", "5 V is not inside the limits"),
    _step("charge: {at: 1 mA, for: 1 h, until: {pressure: {»above: 2 MPa}}}", "2000 kPa is not inside the limits"),
    _step("temperature: {»set: 90 degC}", "90 °C is not inside the limits"),
    _step("stack_pressure: {»set: 5 MPa, within: 0.1 MPa}", "5000 kPa is not inside the limits"),
    _step("impedance: {from: 1 kHz, to: 1 Hz, »amplitude: 9 mA}", "not below the limit of 10 mA"),
    _step("impedance: {from: 1 kHz, to: 1 Hz, amplitude: 10 mV, »at: 3.99 V}", "is not inside the limits"),
    _step("pitt: {from: 3 V, to: 3.5 V, »step: 1 uV, for: 1 h}", "these are"),
    _step("current_ramp: {from: 1 mA, to: 2 mA, »step: 1 nA, for: 1 h, stop: {voltage_drop: 1 mV}}", "these are"),
    _step("»current_ramp: {from: 1 mA, to: 2 C, step: 1 mA, for: 1 h, stop: {voltage_drop: 1 mV}}", "are of one kind"),
    _step("charge: {»resistance: 1 kohm, for: 1 h}", "a resistance is a load: it discharges only"),
    _step("discharge: {»resistance: 1 ohm, for: 1 h}", "not below the limit of 10 mA"),
]

ENDS = [
    _step("»charge: {at: 1 mA}", "this step has no end; give 'for: 1 h'"),
    _step("»rest: {}", "this step has no end"),
    _step("»rest: {for: null}", "this step has no end"),
    _step("»hold: {at: 1 V}", "this step has no end"),
    _step("»charge: {at: 1 mA, hold: 3 V, until: {voltage: 3.5 V}}", "a hold needs an end"),
    _step(
        "charge: {at: 1 mA, until: {voltage: 3 V, »current: 0.1 C}}", "a current ends a hold of constant voltage only"
    ),
    _step("charge: {at: 1 mA, until: {»capacity: 0 mAh}}", "is a magnitude above zero"),
    _step("charge: {at: 1 mA, hold: 3 V, until: {»current: 0 mA}}", "is a magnitude above zero"),
    _step("rest: {until: {»voltage: 1 V}}", "a rest has no direction; say {above: …} or {below: …}"),
    _step("rest: {until: {»current: 1 mA}}", "a current ends a hold of constant voltage only"),
    _step("rest: {until: {»capacity: 1 mAh}}", "a rest passes no charge"),
    _step("rest: {until: {»energy: 1 mWh}}", "a rest passes no energy"),
    _step("charge: {at: 1 mA, for: 1 h, until: {»dI/dt: 1 uA/h}}", "dI/dt ends a hold of constant voltage only"),
    _step("rest: {for: 1 h, »until: {then: trip}}", "this end names no quantity"),
    _step("rest: {for: 1 h, until: [{»all: {}}]}", "'all' names no quantity"),
    _step("charge: {at: 1 mA, until: {voltage: 3 V, »then: nowhere}}", "there is no step named 'nowhere'"),
    _step("charge: {at: 1 mA, until: {voltage: 3 V, »then: end of loop}}", "there is no loop around this step"),
    _step("charge: {at: 1 mA, until: {voltage: 3 V, »then: next pass}}", "there is no loop around this step"),
    _step("charge: {»at: 0.5 C of later, for: 1 h}\n  - {name: later, charge: {at: 1 mA, for: 1 h}}", "comes later"),
    _step("charge: {»at: 0.5 C of nothing, for: 1 h}", "there is no step named 'nothing'"),
    _step("{name: a, rest: {for: 1 h}}\n  - charge: {»at: 0.5 C of a, for: 1 h}", "does not name a charge"),
    _step("charge: {»at: 0.5 mA of a, for: 1 h}", "only a C-rate refers to a step"),
    _step("{name: a, rest: {for: 1 h}}\n  - {»name: a, rest: {for: 1 h}}", "there is a step 'a' already"),
    _step("{rest: {for: 1 h}, »every: 3 passes}", "there is none around this step"),
    _step("{repeat: 3, »steps: [{rest: {for: 1 h}, every: 2 passes}]}", "nothing in this loop is done in each pass"),
    _step("{repeat: 3, »until: {voltage: {above: 2 V}}, steps: [{rest: {for: 1 h}}]}", "a loop ends after a pass by"),
    _step("{repeat: 3, »until: {cycles: 3, for: 1 h}, steps: [{rest: {for: 1 h}}]}", "a loop looks at its ends once"),
    _step("»charge: {at: 1 mA, until: {voltage: {below: 1 V}}}", "this charge never ends"),
    _step("rest: {until: [{time: 1 h, then: trip}]}\n  - »rest: {for: 1 h}", "nothing leads to this step"),
    _step("»rest: {for: 10 min, until: {pressure: {above: 1 kPa}, for: 20 min}}", "it never counts"),
    _step("{name: a, »rest: {until: [{time: 1 h, then: a}]}}", "never left"),
    _step("»linear_sweep: {from: 3 V, to: 3 V, rate: 1 mV/s}", "this sweep goes nowhere"),
    _step("»cyclic_voltammetry: {to: 3 V, back: 3 V, rate: 1 mV/s}", "both vertices are at the same potential"),
    _step("{»markers: [{name: m, at: 1 h}], steps: [{rest: {for: 1 h}}]}", "markers stand on a step"),
    _step("chronopotentiometry: {»at: fast, for: 1 h}", "is not a current"),
]

OTHER_FILES = [
    _step("»include: nothing.yaml", "'nothing.yaml' cannot be read: No such file"),
    _step("include: itself.yaml", "'itself.yaml' includes itself", where="itself.yaml:3:5"),
    _step("include: ring-a.yaml", "'ring-a.yaml' includes itself", where="ring-b.yaml:3:5"),
    _step("include: broken.yaml", "'zz' in '1 zz' is not a unit", where="broken.yaml:3:12"),
    _step("include: {file: formation.yaml, set: {m: 1}}", "no parameter 'm' here", where="formation.yaml:2:1"),
    _step("include: {file: formation.yaml, set: {n: often}}", "valid integer", where="formation.yaml:4:5"),
    _step("include: {file: formation.yaml, set: {»n: [1]}}", "'n' is a number or a text, not [1]"),
    _step("»include: markers.yaml", "would count from another run's beginning"),
    _step("»include: ''", "'file': string should have at least 1 character"),
    _step("include: good.csv", "is empty or not a mapping", where="good.csv:1:1"),
    _step("profile: {»file: nothing.csv}", "'nothing.csv' cannot be read"),
    _step("profile: {»file: large.csv}", "not below the limit of 10 mA"),
    _step("profile: {file: no-columns.csv}", "has no column 'time / s'", where="no-columns.csv:1:1"),
    _step("profile: {file: no-current.csv}", "has no column 'current / A'", where="no-current.csv:1:1"),
    _step("profile: {file: empty.csv}", "has no column", where="empty.csv:1:1"),
    _step("profile: {file: one-row.csv}", "has fewer than two rows", where="one-row.csv:1:1"),
    _step("profile: {file: words.csv}", "'ten' is not a number", where="words.csv:3:1"),
    _step("profile: {file: nan.csv}", "'nan' is not a number", where="nan.csv:2:3"),
    _step("profile: {file: backwards.csv}", "does not rise", where="backwards.csv:4:1"),
    _step("profile: {file: late.csv}", "the first time is 5 s", where="late.csv:2:1"),
    _step("profile: {file: short.csv}", "'' is not a number", where="short.csv:3:4"),
]

ALL = [*NOT_YAML, *AROUND_THE_STEPS, *UNITS, *KEYS, *CELLS, *ENDS, *OTHER_FILES]
