"""One well-formed protocol with every technique and kind of end, and a cell that it compiles for."""

CELL = """\
cell: coin-1
active_mass: 2 mg
electrode_area: 0.5 cm^2
nominal_capacity: 4 mAh
state_of_charge: 0 %
reference: {name: Li-In}
cells_in_series: 1
stack_pressure: 1 MPa
limits: {voltage: [0 V, 4 V], current: 10 mA, pressure: {above: 2 MPa}, temperature: {above: 80 degC}}
"""
FILES = {
    "currents.csv": "time / s,current / mA\n0,1\n10,-1\n20,0\n",
    "formation.yaml": "protocol: f\nparameters: {n: 1}\nsteps:\n  - repeat: ${n}\n    steps: [rest: {for: 1 h}]\n",
}
PROTOCOL = """\
protocol: Everything
parameters: {cycles: 20, rate: 0.2 C}
record: {every: 30 s, change: [5 mV, 0.1 mA, 2 kPa, 0.5 K], burst: {every: 1 s, for: 1 min}}
markers: [{name: run, every: 1 h}, {name: half, state_of_charge: [25 %, 50 %]}]
limits: {voltage: [0 V, 4 V], pressure: {above: 1.5 MPa}}
steps:
  - rest: {for: 4 h, until: {dV/dt: {below: 1 mV/h, over: 10 min}}}
  - condition_pressure: {reach: {above: 500 kPa}, stable: 2 kPa/h, at_most: 12 h, otherwise: next}
  - temperature: {set: 45 degC, within: 1 K, for: 30 min, at_most: 4 h}
  - stack_pressure: {set: 1 MPa, within: 50 kPa}
  - prompt: {say: Close the valve., at_most: 1 day, otherwise: end of run}
  - marker: {name: begin, trigger: true}
  - {name: formation, discharge: {at: C/10, until: {voltage: 0.05 V vs Li-In, time: 12 h}}}
  - charge: {at: 0.5 C of formation, hold: 2 V vs Li, until: [{current: C/50}, {pressure_change: 1 MPa, then: trip}]}
  - impedance: {from: 1 MHz, to: 0.1 Hz, amplitude: 10 mV, staircase: {potential: [1 V, 2 V], settle: 10 min}}
  - impedance: {from: 1 kHz, to: 1 Hz, amplitude: 0.1 mA, staircase: {state_of_charge: [20 %, 80 %], at: 1 mA}}
  - gitt: {direction: charge, at: 1 mA, pulse: 10 min, rest: 2 h, rest_until: {dV/dt: 1 mV/h}, until: {voltage: 3 V}}
  - pitt: {from: 1 V, to: 1.2 V, step: 10 mV, for: 2 h, until: {current: C/100}}
  - pulse: {direction: both, at: 1 C, for: 10 s, rest: 30 s, record: 0.1 s, until: {voltage: {below: 0.5 V}}}
  - current_ramp: {from: 1 mA/cm^2, to: 3 mA/cm^2, step: 1 mA/cm^2, capacity: 0.5 mAh/cm^2, stop: {short_circuit: {}}}
  - linear_sweep: {from: 0 V vs OCV, to: 3 V, rate: 1 mV/s, stair: 2 mV, limit: 5 mA}
  - cyclic_voltammetry: {to: 0.5 V, back: 2.5 V, rate: 1 mV/s, cycles: 3 cycles}
  - chronoamperometry: {at: 10 mV vs OCV, for: 2 h}
  - chronopotentiometry: {at: -0.1 mA, for: 1 h}
  - profile: {file: currents.csv, scale: 0.5, until: {temperature: {above: 60 degC}}}
  - include: {file: formation.yaml, set: {n: 2}}
  - repeat: ${cycles}
    until: [{retention: {below: 80 %, of_cycle: 2}}, {efficiency: {below: 90 %}, then: end of run}, {cycles: 15}]
    steps:
      - discharge: {at: "${rate}", until: [{voltage: 1 V}, {capacity: 1000 mAh/g, then: next pass}]}
      - charge: {power: 2 mW, until: [{voltage: 3 V, for: 1 s}, {all: {energy: 1 mWh, time: 1 h}, then: end of loop}]}
      - hold: {at: 3 V, limit: 175 mA/g, until: {dI/dt: 1 uA/h, net_capacity: {above: 5 mAh}, total_capacity: 1 Ah}}
      - discharge: {resistance: 1 kohm, until: {state_of_charge: 20 %, dp/dt: 1 kPa/h, pressure: {above: 600 kPa}}}
      - {every: 5 cycles, first: 3 passes, impedance: {from: 1 MHz, to: 1 Hz, amplitude: 10 mV}}
      - {after: 2 passes, rest: {for: 1 h}, record: {every: 1 s}, markers: [{name: photo, at: 1 min}]}
"""
