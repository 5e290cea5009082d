"""Events of cells; pressures derived anew with another calibration; marks beyond a calibrated range."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("readings", sa.Column("pressure_mark", sa.Text))
    op.create_table(
        "cell_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("cell", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("sensor", sa.Text),
        sa.Column("measured", sa.Double),
        sa.Column("resistance_ohm", sa.Double),
        sa.Column("pressure_Pa", sa.Double),
        sa.Column("pressure_U_Pa", sa.Double),
        sa.Column("calibration", sa.Text),
        sa.Column("temperature_degC", sa.Double),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("cell_events_of_cell", "cell_events", ["cell", "time"])
    op.create_table(
        "derivations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("calibration", sa.Text),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("assembled", sa.Double),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("derivations_of_run", "derivations", ["run_id", "number"])
    op.create_table(
        "derived_pressures",
        sa.Column(
            "derivation",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.ForeignKey("derivations.number"),
            primary_key=True,
        ),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("pressure_Pa", sa.Double),
        sa.Column("pressure_U_Pa", sa.Double),
        sa.Column("calibration", sa.Text),
        sa.Column("pressure_mark", sa.Text),
        sqlite_with_rowid=False,
    )
