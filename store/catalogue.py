"""The products sold by weight and the till's barcode rules, whole and as one document.

The one rule: what the screen reads is in memory; a new catalogue replaces it only once it is kept.
"""

import sqlite3

from devices import Value
from durable.writer import Change, Connection, Writer
from mqtt.messages import Catalogue


class CatalogueStore:
    def __init__(self, writer: Writer, reader: sqlite3.Connection) -> None:
        self._writer = writer
        row = reader.execute("SELECT body FROM document WHERE name = 'catalogue'").fetchone()
        self.current: Value[Catalogue | None] = Value(
            None if row is None else Catalogue.model_validate_json(row[0])
        )
        """None: this station never had one."""

    async def replace(self, catalogue: Catalogue) -> None:
        """Keep a new catalogue in place of the old one. Raises `StoreFull`; then the old stays."""
        await self._writer.apply(self.replacement(catalogue))

    def replacement(self, catalogue: Catalogue) -> Change[None]:
        """What `replace` does, for `Writer.apply`."""
        body = catalogue.model_dump_json()

        def write(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO document VALUES('catalogue', ?) "
                "ON CONFLICT DO UPDATE SET body = excluded.body",
                (body,),
            )

        return Change(write, lambda _: self.current.set(catalogue))
