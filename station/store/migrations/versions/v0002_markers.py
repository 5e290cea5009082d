"""Markers of a run; bias and amplitude of sweeps of current."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "markers",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("test_time_s", sa.Double, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("step_name", sa.Text, nullable=False),
        sa.Column("cycle", sa.Integer, nullable=False),
        sa.Column("state_of_charge", sa.Double),
        sa.Column("triggered", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("markers_of_run", "markers", ["run_id", "number"])
    op.add_column("spectra", sa.Column("bias_A", sa.Double))
    op.add_column("spectra", sa.Column("amplitude_rms_A", sa.Double))
