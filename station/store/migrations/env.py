"""Alembic's entry: runs the migrations on the connection that `station.store.database` hands over."""

from __future__ import annotations

from alembic import context

from station.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
context.run_migrations()
