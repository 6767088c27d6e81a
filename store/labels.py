"""Whether the last label that was written down came out of the printer.

The one rule: when nobody can know, it is "not sure". The note that a label is out costs no fsync,
because losing it in a power cut costs at most one false "not sure": an older note is covered by
the fsync of the next label's fact.
"""

import json
import sqlite3

from durable.errors import StoreError
from durable.writer import Connection, Writer
from mqtt.messages import LabelData
from store.documents import understood
from store.outbox import Outbox
from store.schema import get_meta, set_meta

_KEY = "label_out"
_LOOK_BACK = 500
"""Facts. One label at a time is printed, so a doubtful one is among the newest."""


class Labels:
    def __init__(self, writer: Writer, reader: sqlite3.Connection, outbox: Outbox) -> None:
        self._writer = writer
        self._reader = reader
        self._outbox = outbox

    async def is_out(self, label: str) -> None:
        """Note that this label came out. Never fails: a lost note is a doubt, not an error."""

        def note(connection: Connection) -> None:
            set_meta(connection, _KEY, label)

        try:
            await self._writer.run(note)
        except StoreError:
            return

    def doubtful(self) -> LabelData | None:
        """The `print` fact of which the process before this one did not learn what became of it."""
        for fact in self._outbox.newest("label", _LOOK_BACK):
            label = understood(LabelData, json.dumps(fact.data), "a label")
            if label is None or label.action != "print":
                return None
            return label if label.label != get_meta(self._reader, _KEY) else None
        return None
