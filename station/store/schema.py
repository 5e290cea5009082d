"""The database's tables. A change here needs a migration in `migrations/versions/`."""

from __future__ import annotations

import dataclasses

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

from station.readings import CellEvent, MarkerEvent, Reading, StepSummary

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("cell", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Column("simulated", Boolean, nullable=False),
    Column("active_mass_g", Double),
    Column("electrode_area_cm2", Double),
    Column("document", Text, nullable=False),  # JSON: everything that the run depends on
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Clustered by run in SQLite, so that one run is read without touching the pages of the others.
# What is measured may be missing: a sensor's NaN is stored as NULL, in both databases.
readings = Table(
    "readings",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("test_time_s", Double, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_name", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("step_time_s", Double, nullable=False),
    Column("voltage_V", Double),
    Column("current_A", Double),
    Column("step_capacity_Ah", Double),
    Column("step_energy_Wh", Double),
    Column("net_capacity_Ah", Double),
    Column("resistance_ohm", Double),
    Column("pressure_Pa", Double),
    Column("pressure_U_Pa", Double),
    Column("calibration", Text),
    Column("temperature_degC", Double),
    Column("pressure_mark", Text),
    sqlite_with_rowid=False,
)

steps = Table(
    "steps",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id"), primary_key=True),
    Column("step", Integer, primary_key=True),
    Column("step_name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("start_time", Double, nullable=False),
    Column("end_time", Double, nullable=False),
    Column("capacity_Ah", Double),
    Column("energy_Wh", Double),
    Column("end_reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

spectra = Table(
    "spectra",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("test_time_s", Double, nullable=False),
    Column("step", Integer, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("bias_V", Double),
    Column("amplitude_rms_V", Double),
    Column("bias_A", Double),
    Column("amplitude_rms_A", Double),
    sqlite_with_rowid=False,
)

impedance_points = Table(
    "impedance_points",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("point", Integer, primary_key=True),  # from 1, in the order measured
    Column("frequency_Hz", Double, nullable=False),
    Column("real_ohm", Double),
    Column("imaginary_ohm", Double),
    ForeignKeyConstraint(["run_id", "number"], ["spectra.run_id", "spectra.number"]),
    sqlite_with_rowid=False,
)

markers = Table(
    "markers",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", Text, ForeignKey("runs.run_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("test_time_s", Double, nullable=False),
    Column("step", Integer, nullable=False),
    Column("step_name", Text, nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("state_of_charge", Double),
    Column("triggered", Boolean, nullable=False),
    Index("markers_of_run", "run_id", "number"),
    sqlite_autoincrement=True,
)

# No foreign key: whatever was said about a run is kept, even if that run is not there.
events = Table(
    "events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("time", Double, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("channel", Text),
    Column("run_id", Text),
    Column("who", Text, nullable=False),
    Index("events_of_channel", "channel", "number"),
    sqlite_autoincrement=True,
)

# No foreign key: a cell is known before its first run.
cell_events = Table(
    "cell_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("cell", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", Text),
    Column("sensor", Text),
    Column("measured", Double),
    Column("resistance_ohm", Double),
    Column("pressure_Pa", Double),
    Column("pressure_U_Pa", Double),
    Column("calibration", Text),
    Column("temperature_degC", Double),
    Column("note", Text, nullable=False),
    Column("who", Text, nullable=False),
    Index("cell_events_of_cell", "cell", "time"),
    sqlite_autoincrement=True,
)

# The pressures of a run that were derived with another calibration; the readings have those that are current.
# A run whose pressures were never derived anew has no row here.
derivations = Table(
    "derivations",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("run_id", Text, ForeignKey("runs.run_id"), nullable=False),
    Column("calibration", Text),
    Column("sha256", Text, nullable=False),
    Column("assembled", Double),
    Column("time", Double, nullable=False),
    Column("who", Text, nullable=False),
    Column("current", Boolean, nullable=False),
    Index("derivations_of_run", "run_id", "number"),
    sqlite_autoincrement=True,
)

derived_pressures = Table(
    "derived_pressures",
    metadata,
    Column(
        "derivation",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("derivations.number"),
        primary_key=True,
    ),
    Column("sequence", Integer, primary_key=True),
    Column("pressure_Pa", Double),
    Column("pressure_U_Pa", Double),
    Column("calibration", Text),
    Column("pressure_mark", Text),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id"), primary_key=True),
    Column("document", Text, nullable=False),  # JSON: the sequencer's state after the last reading
    sqlite_with_rowid=False,
)

# How far each writer's numbered batches are in this database: what makes a replay write nothing twice.
applied = Table(
    "applied",
    metadata,
    Column("writer", Text, primary_key=True),
    Column("batch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

READING_FIELDS = tuple(field.name for field in dataclasses.fields(Reading))
STEP_FIELDS = tuple(field.name for field in dataclasses.fields(StepSummary))
MARKER_FIELDS = tuple(field.name for field in dataclasses.fields(MarkerEvent))
CELL_EVENT_FIELDS = tuple(field.name for field in dataclasses.fields(CellEvent))
TEXT_FIELDS = frozenset({"step_name", "calibration", "pressure_mark"})
