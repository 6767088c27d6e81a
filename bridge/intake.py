"""Taking messages of stations into the inbox.

The one rule: only the next number of a station's epoch is accepted, so that `stored` is one number
and nothing below it is missing. The first bytes that came under a number are kept; other bytes
under it raise an alarm and are put aside for a person. So are bytes that are no fact: they will be
none the next time either, and must not hold up their station for ever.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bridge import clocks, epochs, strays
from bridge.blobs import Blobs, photo_of
from bridge.epochs import Stream
from bridge.ledger import (
    Gap,
    Item,
    Key,
    State,
    Station,
    Stored,
    Told,
    envelope_of,
    one,
    row,
    to_ms,
    valid_epoch,
    valid_id,
)
from bridge.schema import seal
from durable.errors import StoreFull
from durable.sqlite import checksum
from mqtt.messages import Envelope

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")

BLOB_TRIES = 5
"""How often a photo may come without its right bytes before it stops holding up its station."""
UNREADABLE_TRIES = 5
"""How often bytes that are no fact may come under a number before it is given up."""
WORD = 64
"""No boot and no kind has a longer name."""
LOST = "the station's disk has lost this fact"


class Intake:
    """One batch, in one transaction of the inbox: everything here happens in it, in order."""

    def __init__(self, blobs: Blobs, folder: Path, min_free: int) -> None:
        self._blobs = blobs
        self._folder = folder
        self._min_free = min_free

    def store(
        self,
        connection: sqlite3.Connection,
        items: Sequence[Item | Told],
        unanswered: Collection[Key] = (),
    ) -> tuple[Stored, list[str]]:
        """Store what may be stored; and the ids of facts whose files are not needed any more.

        `unanswered`: epochs that were asked for again, by stations that have not answered yet. What
        comes of them may be what Odoo has, which only the answer tells: it waits.

        Raises `StoreFull`, OSError.
        """
        if shutil.disk_usage(self._folder).free < self._min_free:
            raise StoreFull("store.full", path=str(self._folder))
        outcome, settled, unanswered = Stored(), list[str](), set(unanswered)
        for item in items:
            if isinstance(item, Told):
                if item.replay:
                    keys = {(item.station, kept.epoch) for kept in item.epochs}
                    unanswered -= keys
                    outcome.answered |= keys
                settled += epochs.hear(connection, item, outcome)
            elif item.what == "blob":
                if why := self._blobs.take(connection, item):
                    strays.keep(connection, item, why, outcome)
            else:
                self._take_fact(connection, item, unanswered, outcome)
        seal(connection, outcome.touched)
        return outcome, settled

    def _take_fact(
        self,
        connection: sqlite3.Connection,
        item: Item,
        unanswered: Collection[Key],
        outcome: Stored,
    ) -> None:
        station = Station(item.site, item.station)
        envelope = _read(item.body)
        if envelope is None:
            strays.keep(connection, item, "not an envelope", outcome)
            self._unreadable(connection, item, station, outcome)
            return
        stream = epochs.opened(connection, station, envelope.epoch, outcome)
        if stream is None:
            strays.keep(connection, item, "the station has too many epochs", outcome)
            return
        outcome.stations.add(station)
        key, following = (station, envelope.epoch), stream.stored + 1
        if envelope.seq < following:
            self._again(connection, item, stream, envelope, outcome)
        elif (
            key in unanswered
            or envelope.seq > following
            or self._lacks_blob(connection, stream, envelope)
        ):
            outcome.gaps[key] = Gap(station, envelope.epoch, following)
        else:
            self._accept(connection, item, stream, envelope, outcome)
            outcome.gaps[key] = None
            outcome.facts += 1

    def _unreadable(
        self, connection: sqlite3.Connection, item: Item, station: Station, outcome: Stored
    ) -> None:
        """After some tries the number that such bytes stand under becomes a hole.

        Only when their station says beside them which number that is (MQTT 5), and not when they
        may be an envelope of a later version: that one waits for a newer bridge.
        """
        epoch, number = item.properties.get("epoch", ""), item.properties.get("seq", "")
        if not (valid_epoch(epoch) and _NUMBER.fullmatch(number)) or _of_another_version(item.body):
            return
        stream = epochs.opened(connection, station, epoch, outcome)
        if stream is None:
            return
        outcome.stations.add(station)
        key, following, seq = (station, epoch), stream.stored + 1, int(number)
        if seq < following:
            return
        if seq == following and _one_try_more(connection, stream) >= UNREADABLE_TRIES:
            epochs.pass_over(connection, station, stream, seq, outcome)
            outcome.gaps[key] = None
            return
        outcome.gaps[key] = Gap(station, epoch, following)

    def _again(
        self,
        connection: sqlite3.Connection,
        item: Item,
        stream: Stream,
        envelope: Envelope,
        outcome: Stored,
    ) -> None:
        """A resend: silently dropped, unless it says something else than the first time. (That its
        disk has lost a fact which is here says nothing else.)
        """
        known = row(
            connection,
            "SELECT id, body FROM facts WHERE stream = ? AND seq = ?",
            stream.stream,
            envelope.seq,
        )
        if known in (None, (envelope.id, item.body)) or envelope.kind == "damaged":
            return
        why = f"number {envelope.seq} came again with other bytes; the first are kept"
        strays.keep(connection, item, why, outcome)

    def _lacks_blob(
        self, connection: sqlite3.Connection, stream: Stream, envelope: Envelope
    ) -> bool:
        """Whether a photo has to be sent again because its bytes are missing or wrong.

        Not for ever: after some tries it is taken without them, and parked when it is applied.
        """
        photo = photo_of(envelope)
        if photo is None or stream.known_done(envelope.seq):
            return False
        if self._blobs.get(envelope.id, photo.sha256, photo.size) is not None:
            return False
        return _one_try_more(connection, stream) < BLOB_TRIES

    def _accept(
        self,
        connection: sqlite3.Connection,
        item: Item,
        stream: Stream,
        envelope: Envelope,
        outcome: Stored,
    ) -> None:
        station = Station(item.site, item.station)
        taken = row(connection, "SELECT body FROM facts WHERE id = ?", envelope.id)
        if taken is None:
            self._insert(connection, item, stream, envelope)
        elif taken[0] != item.body:
            why = "this id came before with other bytes; the first are kept"
            strays.keep(connection, item, why, outcome)
        boot = clocks.current_boot(connection, station)
        connection.execute(
            "UPDATE streams SET stored = ?, boot = ?, tries = 0 WHERE stream = ?",
            (envelope.seq, envelope.boot, stream.stream),
        )
        if envelope.kind == "clock":
            clocks.take(connection, item, envelope)
        if clocks.current_boot(connection, station) != boot:
            clocks.new_boot(connection, station, envelope.boot)

    def _insert(
        self, connection: sqlite3.Connection, item: Item, stream: Stream, envelope: Envelope
    ) -> None:
        state, why = State.WAITING, ""
        if stream.known_done(envelope.seq):
            state = State.DONE
            if one(connection, "SELECT 1 FROM blobs WHERE id = ?", envelope.id):
                self._blobs.drop(envelope.id)
        elif envelope.kind == "damaged":
            state, why = State.PARKED, LOST
        self._blobs.unclaimed(connection, envelope.id)
        connection.execute(
            "INSERT INTO facts (id, stream, seq, site, station, kind, boot, body, sum, received,"
            " state, why, listed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                envelope.id,
                stream.stream,
                envelope.seq,
                item.site,
                item.station,
                envelope.kind,
                envelope.boot,
                item.body,
                checksum(item.body),
                to_ms(datetime.now(UTC)),
                state,
                why,
                state is State.PARKED,
            ),
        )


def _read(body: bytes) -> Envelope | None:
    """The envelope; None for bytes that are none, or whose names are no names: these come back in
    acks and become files.
    """
    envelope = envelope_of(body)
    if envelope is None or max(len(envelope.boot), len(envelope.kind)) > WORD:
        return None
    return envelope if valid_id(envelope.id) and valid_epoch(envelope.epoch) else None


def _one_try_more(connection: sqlite3.Connection, stream: Stream) -> int:
    """How often the epoch's next number has come now without being taken."""
    tries: int = one(
        connection,
        "UPDATE streams SET tries = tries + 1 WHERE stream = ? RETURNING tries",
        stream.stream,
    )
    return tries


def _of_another_version(body: bytes) -> bool:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("v", 1) != 1
