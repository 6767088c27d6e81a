"""What a station keeps on its own disk: facts that wait, members, products, a journal.

Knows no network and no device. `Store.open` gives all of it.
"""

from durable.errors import StoreBusy, StoreError, StoreFull, StoreTooNew
from store.store import Store

__all__ = ["Store", "StoreBusy", "StoreError", "StoreFull", "StoreTooNew"]
