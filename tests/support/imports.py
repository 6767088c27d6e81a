"""Files taken into a store as `edged import` takes them."""

from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path

from edged.transfer import Imported, import_tables, read_files
from store import Store


async def import_files(
    store: Store,
    files: Sequence[Path],
    badge_key: bytes,
    *,
    zone: tzinfo | None = None,
    encoding: str | None = None,
) -> Imported:
    return await import_tables(store, read_files(files, encoding), badge_key, zone=zone)
