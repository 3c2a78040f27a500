"""The audit trail and the keys, in SQLite or PostgreSQL."""

from affekt.server.store.database import Database, StoreError
from affekt.server.store.keys import Key, Keys
from affekt.server.store.limits import Limits
from affekt.server.store.trail import Filter, Summary, Trail

__all__ = ["Database", "Filter", "Key", "Keys", "Limits", "StoreError", "Summary", "Trail"]
