"""Runs, readings, steps, spectra, events, checkpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("cell", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("ended", sa.Double),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("active_mass_g", sa.Double),
        sa.Column("electrode_area_cm2", sa.Double),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "readings",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("test_time_s", sa.Double, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("step_name", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("step_time_s", sa.Double, nullable=False),
        sa.Column("voltage_V", sa.Double),
        sa.Column("current_A", sa.Double),
        sa.Column("step_capacity_Ah", sa.Double),
        sa.Column("step_energy_Wh", sa.Double),
        sa.Column("net_capacity_Ah", sa.Double),
        sa.Column("resistance_ohm", sa.Double),
        sa.Column("pressure_Pa", sa.Double),
        sa.Column("pressure_U_Pa", sa.Double),
        sa.Column("calibration", sa.Text),
        sa.Column("temperature_degC", sa.Double),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "steps",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("step_name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("start_time", sa.Double, nullable=False),
        sa.Column("end_time", sa.Double, nullable=False),
        sa.Column("capacity_Ah", sa.Double),
        sa.Column("energy_Wh", sa.Double),
        sa.Column("end_reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spectra",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("test_time_s", sa.Double, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("bias_V", sa.Double),
        sa.Column("amplitude_rms_V", sa.Double),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "impedance_points",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("point", sa.Integer, primary_key=True),
        sa.Column("frequency_Hz", sa.Double, nullable=False),
        sa.Column("real_ohm", sa.Double),
        sa.Column("imaginary_ohm", sa.Double),
        sa.ForeignKeyConstraint(["run_id", "number"], ["spectra.run_id", "spectra.number"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("who", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_of_channel", "events", ["channel", "number"])
    op.create_table(
        "checkpoints",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "applied",
        sa.Column("writer", sa.Text, primary_key=True),
        sa.Column("batch", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
