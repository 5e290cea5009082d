"""The database's schema, version by version (Alembic); used through `station.store.upgrade`."""
