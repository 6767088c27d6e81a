"""What must survive a power cut, once for station and bridge.

SQLite files opened, migrated and written by one thread with group commit; plain files written and
fsynced with their folder. The one rule: nobody is told "kept" before the fsync.
"""

from durable.errors import StoreBusy, StoreError, StoreFull, StoreTooNew

__all__ = ["StoreBusy", "StoreError", "StoreFull", "StoreTooNew"]
