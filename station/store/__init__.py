"""The store: every run in one database, written by one thread and read by many.

upgrade("sqlite:///station.db")
writer = Writer("sqlite:///station.db", Path("spool"))
writer.begin_run(snapshot)
writer.submit(Batch(run_id, readings=(reading,), checkpoint=state))
Archive("sqlite:///station.db").cycles(run_id)
"""

from station.store.archive import Archive
from station.store.batch import Batch, RunSnapshot
from station.store.database import StoreError, backup, check, upgrade
from station.store.derivations import RunPressures
from station.store.writer import Writer

__all__ = ["Archive", "Batch", "RunPressures", "RunSnapshot", "StoreError", "Writer", "backup", "check", "upgrade"]
