"""The products sold by weight and the till's barcode rules, whole and as one document.

The one rule: what the screen reads is in memory; a new catalogue replaces it only once it is kept.
"""

import logging
import sqlite3

from devices import Value
from durable.sqlite import checksum
from durable.writer import Change, Connection, Writer
from mqtt.messages import Catalogue
from store.documents import understood

log = logging.getLogger(__name__)


class CatalogueStore:
    def __init__(self, writer: Writer, reader: sqlite3.Connection) -> None:
        self._writer = writer
        self.current: Value[Catalogue | None] = Value(_kept(reader))
        """None: this station never had one, or what it has is damaged or not understood."""

    async def replace(self, catalogue: Catalogue) -> None:
        """Keep a new catalogue in place of the old one. Raises `StoreFull`; then the old stays."""
        await self._writer.apply(self.replacement(catalogue))

    def replacement(self, catalogue: Catalogue) -> Change[None]:
        """What `replace` does, for `Writer.apply`."""

        def write(connection: Connection) -> None:
            _keep(connection, catalogue)

        return Change(write, lambda _: self.current.set(catalogue))


def carry_over(old: Connection, into: Connection) -> None:
    """Copy a damaged store's catalogue, if it is what was put there."""
    catalogue = _kept(old)
    if catalogue is not None:
        _keep(into, catalogue)


def _kept(connection: Connection) -> Catalogue | None:
    row = connection.execute("SELECT body, sum FROM document WHERE name = 'catalogue'").fetchone()
    if row is None:
        return None
    body, checked = row
    if checksum(body.encode()) != checked:
        log.error("the catalogue was changed by the disk: it is asked for again")
        return None
    return understood(Catalogue, body, "the catalogue")


def _keep(connection: Connection, catalogue: Catalogue) -> None:
    body = catalogue.model_dump_json()
    connection.execute(
        "INSERT INTO document(name, body, sum) VALUES('catalogue', ?, ?)"
        " ON CONFLICT DO UPDATE SET body = excluded.body, sum = excluded.sum",
        (body, checksum(body.encode())),
    )
