"""Facts that were waiting when the bridge was started.

The one rule: they are brought to Odoo only when their station has said what it knows to be done:
the bridge's folder may have been put back from an older copy, and Odoo have them already. A station
that does not answer does not hold them back for ever.
"""

import asyncio
from collections.abc import Callable, Iterable

from bridge.ledger import Station
from bridge.replay import EPOCHS, question
from mqtt.link import Session

GRACE_S = 10.0
"""A station that is there answers within this, once the bridge has its connection."""
NO_LINK_S = 30.0
"""Without a connection nobody can answer."""


class Leftovers:
    """The stations that are still to answer. `release` is called once for each."""

    def __init__(
        self,
        root: str,
        client: str,
        stations: Iterable[Station],
        release: Callable[[Station], None],
    ) -> None:
        self._root = root
        self._client = client
        self._waiting = set(stations)
        self._release = release
        self._asking = False
        self._late = False

    def answered(self, station: Station) -> None:
        """The station has said what is done, and it is in the inbox."""
        if station in self._waiting:
            self._waiting.discard(station)
            self._release(station)

    async def without_link(self) -> None:
        """Wait no longer than this for a connection."""
        await asyncio.sleep(NO_LINK_S)
        self._late = True
        if not self._asking:
            self._give_up()

    async def ask(self, session: Session) -> None:
        """Ask those that have not answered, and wait for them no longer than this."""
        self._asking = True
        try:
            for station in list(self._waiting):
                await session.publish(
                    question(self._root, self._client, station, "epochs", EPOCHS, {})
                )
            await asyncio.sleep(GRACE_S)
            self._give_up()
        finally:
            self._asking = False
            if self._late:  # the connection has ended, and nobody waits for another any more
                self._give_up()

    def _give_up(self) -> None:
        for station in list(self._waiting):
            self.answered(station)
