"""Asking a station for facts that are missing, and believing it when they are gone.

The one rule: a gap is asked for again and again, but at most every few seconds, until the facts
come or the station itself says from where on it still has them.
"""

import asyncio
import logging
from dataclasses import dataclass

from pydantic import ValidationError

from bridge.ledger import Gap, Station
from mqtt.link import Outgoing, Session
from mqtt.messages import Answer, Command
from mqtt.topics import StationTopics

log = logging.getLogger(__name__)

EVERY_S = 3.0
"""A station which found out by itself (it resends after 2 s) is not asked the first time."""
RARELY_S = 60.0
"""A station that does not answer is asked less and less often, but not less than this."""
EXPIRY_S = 30


@dataclass(slots=True)
class _Open:
    gap: Gap
    due: float
    wait: float


class Replays:
    """The gaps of all stations."""

    def __init__(self, root: str, client: str, *, every_s: float = EVERY_S) -> None:
        self._root = root
        self._client = client
        self._every = every_s
        self._open: dict[Station, _Open] = {}

    def note(self, station: Station, gap: Gap | None) -> None:
        """A batch found this gap, or (None) found its station's next fact."""
        if gap is None:
            self._open.pop(station, None)
        elif station not in self._open or self._open[station].gap != gap:
            now = asyncio.get_running_loop().time()
            self._open[station] = _Open(gap, now + self._every, self._every)

    async def run(self, session: Session) -> None:
        """Ask for what is missing until the connection ends."""
        while True:
            await asyncio.sleep(self._every / 3)
            now = asyncio.get_running_loop().time()
            for station, waiting in list(self._open.items()):
                if now >= waiting.due:
                    waiting.wait = min(waiting.wait * 2, RARELY_S)
                    waiting.due = now + waiting.wait
                    await self._ask(session, station, waiting.gap)

    async def _ask(self, session: Session, station: Station, gap: Gap) -> None:
        topics = StationTopics(self._root, station.site, station.name)
        reply_to = topics.did(self._client)
        which = f"{gap.epoch}:{gap.expected}"
        command = Command(
            reply_to=reply_to, id=which, args={"epoch": gap.epoch, "from": gap.expected}
        )
        log.info("%s/%s: asking again for facts from %d", station.site, station.name, gap.expected)
        await session.publish(
            Outgoing(
                topics.do("outbox", "replay"),
                command.model_dump_json().encode(),
                expiry=EXPIRY_S,
                response_topic=reply_to,
                correlation=which.encode(),
            )
        )

    def answer(self, station: Station, body: bytes) -> tuple[str, int] | None:
        """What a station says it still has: (epoch, first), if it answers what we asked."""
        waiting = self._open.get(station)
        try:
            answer = Answer.model_validate_json(body)
        except ValidationError:
            return None
        first = answer.result.get("from")
        if waiting is None or not answer.ok or not isinstance(first, int):
            return None
        if answer.result.get("epoch") != waiting.gap.epoch:
            return None
        return waiting.gap.epoch, first
