"""Asking a station for facts that are missing, and for the epochs that it keeps.

The one rule: a gap is asked for again and again, but at most every few seconds, until the facts
come or the station itself says from where on it still has them.

A station that keeps many epochs sends them one after the other, and most gaps close by themselves:
while its facts come, it is asked for nothing, because each question makes it begin anew.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bridge.ledger import Gap, Key, Station, Told
from mqtt.link import Outgoing, Session
from mqtt.messages import Answer, Command, EpochKept, StationState
from mqtt.topics import StationTopics

log = logging.getLogger(__name__)

EVERY_S = 3.0
"""A station which found out by itself (it resends after 2 s) is not asked the first time."""
RARELY_S = 60.0
"""A station that does not answer is asked less and less often, but not less than this."""
EXPIRY_S = 30
LONGEST_WORD = 1 << 20
"""What a station says of its epochs is shorter than this (bytes)."""
EPOCHS = "epochs"
"""The id of the question for all epochs; those of replays are made of an epoch and a number."""

_KEPT = TypeAdapter(tuple[EpochKept, ...])


@dataclass(slots=True)
class _Open:
    gap: Gap
    due: float
    wait: float
    asked_until: float = 0.0
    """An answer may still come until then."""


@dataclass(slots=True)
class _Pace:
    """Of one station with gaps."""

    asked: float
    """When it was asked last, or had its first gap."""
    quiet: float = 0.0
    """Until when it is not asked, because its facts come or it was just asked."""


class Replays:
    """The gaps of all stations."""

    def __init__(self, root: str, client: str, *, every_s: float = EVERY_S) -> None:
        self._root = root
        self._client = client
        self._every = every_s
        self._open: dict[Key, _Open] = {}
        self._paces: dict[Station, _Pace] = {}

    def note(self, key: Key, gap: Gap | None) -> None:
        """A batch found this gap, or (None) found the next fact of the epoch."""
        now = asyncio.get_running_loop().time()
        if gap is None:
            self._open.pop(key, None)
            if pace := self._paces.get(key[0]):
                pace.quiet = now + self._every
        elif key not in self._open or self._open[key].gap != gap:
            self._open[key] = _Open(gap, now + self._every, self._every)
            self._paces.setdefault(key[0], _Pace(asked=now))

    def unanswered(self) -> set[Key]:
        """Epochs that were asked for and whose answer may still come."""
        now = asyncio.get_running_loop().time()
        return {key for key, waiting in self._open.items() if now < waiting.asked_until}

    def answered(self, key: Key) -> None:
        """What comes of this epoch now may be taken."""
        if key in self._open:
            self._open[key].asked_until = 0.0

    async def run(self, session: Session) -> None:
        """Ask for what is missing until the connection ends."""
        while True:
            await asyncio.sleep(self._every / 3)
            for gap in self.to_ask(asyncio.get_running_loop().time()):
                await self._ask(session, gap)

    def to_ask(self, now: float) -> list[Gap]:
        """What is asked for at this moment (seconds of the loop): of each station, at most the gap
        that has waited longest.
        """
        with_gaps = {station for station, _ in self._open}
        self._paces = {who: pace for who, pace in self._paces.items() if who in with_gaps}
        first: dict[Station, _Open] = {}
        for (station, _), waiting in self._open.items():
            pace = self._paces[station]
            # A shop's busy door sends all the time, and must not put off an old gap for ever.
            quiet = now < min(pace.quiet, pace.asked + RARELY_S)
            known = first.get(station)
            if now >= waiting.due and not quiet and (known is None or waiting.due < known.due):
                first[station] = waiting
        for station, waiting in first.items():
            waiting.wait = min(waiting.wait * 2, RARELY_S)
            waiting.due, waiting.asked_until = now + waiting.wait, now + EXPIRY_S
            self._paces[station] = _Pace(asked=now, quiet=now + self._every)
        return [waiting.gap for waiting in first.values()]

    async def _ask(self, session: Session, gap: Gap) -> None:
        log.info("%s: asking again for facts from %d", gap.station, gap.expected)
        args = {"epoch": gap.epoch, "from": gap.expected}
        which = f"{gap.epoch}:{gap.expected}"
        await session.publish(
            question(self._root, self._client, gap.station, "replay", which, args)
        )


def question(
    root: str, client: str, station: Station, verb: str, which: str, args: dict[str, Any]
) -> Outgoing:
    """A command to a station's outbox; `which` comes back with the answer."""
    topics = StationTopics(root, station.site, station.name)
    reply_to = topics.did(client)
    return Outgoing(
        topics.do("outbox", verb),
        Command(reply_to=reply_to, id=which, args=args).model_dump_json().encode(),
        expiry=EXPIRY_S,
        response_topic=reply_to,
        correlation=which.encode(),
    )


def read_answer(body: bytes) -> Answer | None:
    try:
        return Answer.model_validate_json(body) if len(body) <= LONGEST_WORD else None
    except ValidationError:
        return None


def replayed(station: Station, answer: Answer) -> Told | None:
    """What a station says of the epoch that it is about to send again; None when it is something
    else. Its word counts also when this process did not ask, because the one before it may have.
    """
    result = answer.result
    try:
        kept = EpochKept.model_validate({**result, "first": result.get("from"), "last": 0})
    except ValidationError:
        return None
    return Told(station, (kept,), replay=True) if answer.ok else None


def all_epochs(station: Station, answer: Answer) -> Told | None:
    """What `do/outbox/epochs` was answered; None when it is something else."""
    try:
        kept = _KEPT.validate_python(answer.result.get("epochs"))
    except ValidationError:
        return None
    return Told(station, kept) if answer.ok else None


def state_of(station: Station, body: bytes) -> Told | None:
    """What a station's state says of its epochs; None when it is no state."""
    try:
        state = StationState.model_validate_json(body) if len(body) <= LONGEST_WORD else None
    except ValidationError:
        return None
    return Told(station, state.epochs) if state else None
