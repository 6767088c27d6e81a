"""What can still be read of a damaged store, carried into a new one.

The one rule: damage never costs a readable fact, and never changes one. A fact is carried under its
own epoch and number when its checksum is right; each number whose fact is lost gets a fact of kind
``damaged``, so that the bridge finds no gap and a person is told.

Facts are looked for twice: through SQLite, row by row, and in the bytes of the file itself, where
they stand whole even if no page leads to them any more.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from durable.files import write_whole
from durable.sqlite import checksum, lenient_text, transaction
from mqtt.messages import Envelope
from store import catalogue, directory, epochs
from store.documents import understood
from store.envelope import stand_in
from store.schema import epoch_sum, place, put_epoch, set_meta
from store.settling import HIGHEST, STORED, WAITING

_BODY = re.compile(rb'\{"v":1,"id":"')
_LONGEST = 1 << 16
"""Bytes of a fact's body that is looked for in the file."""
_KEPT_META = ("undated", "age", "label_out")

log = logging.getLogger(__name__)


class _Fact(NamedTuple):
    envelope: Envelope
    body: bytes
    attachment: bool = False
    state: int = WAITING
    since: int = 0
    why: str = ""


class _Epoch(NamedTuple):
    """As the damaged file had it."""

    last: int
    stored: int
    done: int


@dataclass
class Rescued:
    facts: int = 0
    lost: int = 0
    mended: int = 0
    """Epochs of which a card had changed how far they are."""
    photos: set[str] = field(default_factory=set)
    """Ids of the carried facts whose photos are still needed."""


def rescue(damaged: Path, log_bytes: bytes, into: sqlite3.Connection) -> Rescued:
    """Carry what can be read of the file `damaged`, and of what its log (-wal) held, into an empty
    store, in one transaction. Raises `sqlite3.Error` and OSError.
    """
    found = _Found(damaged, log_bytes)
    rescued = Rescued()
    with closing(_opened(damaged)) as old, transaction(into):
        for carry_over in (directory.carry_over, catalogue.carry_over):
            try:
                carry_over(old, into)
            except sqlite3.Error as error:
                log.warning("the damaged store: %s", error)  # members and prices come again
        for number, (name, epoch, facts) in enumerate(found.epochs(), start=1):
            _carry(into, number, name, epoch, facts, rescued)
        for key, value in found.meta.items():
            set_meta(into, key, value)
    return rescued


def _opened(damaged: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(damaged, isolation_level=None)
    connection.text_factory = lenient_text
    return connection


def rescue_newer(connection: sqlite3.Connection, log_bytes: bytes, kept: Path) -> Rescued:
    """Put back the facts that a sound store's log held and SQLite did not take out of it, because a
    frame before them was wrong. Raises `sqlite3.Error` and OSError.

    The log goes into a file `kept` of its own before, because SQLite writes over it.
    """
    rescued = Rescued()
    facts = {
        (envelope.epoch, envelope.seq): (envelope, body)
        for envelope, body in _bodies(log_bytes)
        if _is_missing(connection, envelope)
    }
    if not facts:
        return rescued
    write_whole(kept, log_bytes)
    with transaction(connection):
        for envelope, body in facts.values():
            number = epochs.with_room_for(connection, envelope.epoch, envelope.seq)
            rescued.facts += _insert(connection, number, _found_in_bytes(envelope, body))
    return rescued


def _is_missing(connection: sqlite3.Connection, envelope: Envelope) -> bool:
    """Whether a fact of the log belongs into the table and is not there.

    A log keeps old pages for a while, with facts that were done and forgotten: those are of epochs
    that are known and done so far, or older than the newest fact that is there. The calendar says
    nothing about that, because a clock may be set back.
    """
    epoch = connection.execute(
        "SELECT number, done FROM epoch WHERE name = ?", (envelope.epoch,)
    ).fetchone()
    if epoch is None:
        newest = connection.execute("SELECT body FROM outbox ORDER BY n DESC LIMIT 1").fetchone()
        last = understood(Envelope, newest[0], "a fact") if newest is not None else None
        if last is None or envelope.boot != last.boot:
            return True  # nobody can say: the bridge knows a fact that it has had
        return envelope.up > last.up
    number, done = epoch
    there = connection.execute(
        "SELECT 1 FROM outbox WHERE n = ?", (place(number, envelope.seq),)
    ).fetchone()
    return envelope.seq > done and there is None


def _found_in_bytes(envelope: Envelope, body: bytes) -> "_Fact":
    return _Fact(envelope, body, attachment=envelope.kind == "photo")


def _insert(into: sqlite3.Connection, number: int, fact: "_Fact") -> int:
    """Put a fact under its number, unless one is there; how many were put."""
    return into.execute(
        "INSERT OR IGNORE INTO outbox VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            place(number, fact.envelope.seq),
            fact.envelope.id,
            fact.envelope.kind,
            fact.body,
            checksum(fact.body),
            fact.attachment,
            fact.state,
            fact.since,
            fact.why,
        ),
    ).rowcount


def _carry(
    into: sqlite3.Connection,
    number: int,
    name: str,
    epoch: _Epoch,
    facts: Mapping[int, _Fact],
    rescued: Rescued,
) -> None:
    put_epoch(into, number, name, epoch.last, epoch.stored, epoch.done)
    lost = set(range(epoch.done + 1, epoch.last + 1)) - facts.keys()
    for seq in sorted(facts.keys() | lost):
        if seq in lost:
            envelope, body = stand_in(name, seq, "")
            state = STORED if seq <= epoch.stored else WAITING
            fact = _Fact(envelope, body, state=state)
        else:
            fact = facts[seq]
        _insert(into, number, fact)
        if fact.attachment:
            rescued.photos.add(fact.envelope.id)
    rescued.facts += len(facts)
    rescued.lost += len(lost)


class _Found:
    """Everything that could be read of a damaged file."""

    def __init__(self, damaged: Path, log_bytes: bytes) -> None:
        self.meta: dict[str, str] = {}
        self._epochs: dict[str, _Epoch] | None = None
        """None: the table cannot be read, and any epoch may have been there."""
        self._facts: dict[str, dict[int, _Fact]] = {}
        with closing(_opened(damaged)) as old:
            self._read_tables(old)
        for envelope, body in _bodies(damaged.read_bytes()):
            self._take_found(envelope, body)
        # The log may hold the newest facts alone, also the first ones of a new epoch.
        for envelope, body in _bodies(log_bytes):
            self._take_logged(envelope, body)

    def epochs(self) -> Iterator[tuple[str, _Epoch, Mapping[int, _Fact]]]:
        """Oldest first: name, how far it was, and its facts by number."""
        names = list(self._epochs or ())
        others = [name for name in self._facts if name not in names]
        if self._epochs is None:
            # Pages have no order; ids grow with time, as far as the clock does.
            others.sort(key=lambda name: min(f.envelope.id for f in self._facts[name].values()))
        for name in (*names, *others):
            facts = self._facts.get(name, {})
            highest = max(facts, default=0)
            known = (self._epochs or {}).get(name)
            if known is None:
                # How far it was settled is not known: below the lowest, all was done and forgotten.
                below = min(facts, default=1) - 1
                known = _Epoch(highest, below, below)
            if (
                known.last - max(highest, known.done) > epochs.LOST_AT_THE_END
                or known.last < highest
            ):
                known = known._replace(last=max(highest, min(known.done, known.last)))
            yield name, known, facts

    # --- through SQLite ----------------------------------------------------------------------

    def _read_tables(self, old: sqlite3.Connection) -> None:
        names: dict[int, str] = {}
        try:
            (version,) = old.execute("PRAGMA user_version").fetchone()
            if version == 1:
                self._read_version_1(old)
                return
            rows = old.execute(
                "SELECT number, name, last, stored, done, sum FROM epoch ORDER BY number"
            ).fetchall()
            if any(row[5] != epoch_sum(*row[:5]) for row in rows):
                raise sqlite3.DatabaseError("a wrong checksum")
            self._epochs = {
                name: _Epoch(last, min(stored, last), min(done, last))
                for _, name, last, stored, done, _ in rows
                if 0 < last < HIGHEST
            }
            names = {number: name for number, name, *_ in rows}
        except sqlite3.Error as error:
            log.warning("the damaged store's epochs cannot be read: %s", error)
        for key in _KEPT_META:
            try:
                row = old.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error:
                continue
            if row is not None:
                self.meta[key] = str(row[0])
        for number, name in names.items():
            for row in _rows(old, number, (self._epochs or {}).get(name)):
                self._take_row(*row)

    def _read_version_1(self, old: sqlite3.Connection) -> None:
        """One epoch, and no checksums: a body counts when it says its own number."""
        (last,) = old.execute("SELECT max(seq) FROM outbox").fetchone()
        for seq in range(1, (last or 0) + 1):
            try:
                row = old.execute(
                    "SELECT body, attachment, state, why FROM outbox WHERE seq = ?", (seq,)
                ).fetchone()
            except sqlite3.Error:
                continue
            if row is not None:
                body, attachment, state, why = row
                envelope = understood(Envelope, body, "a fact")
                if envelope is not None and envelope.seq == seq:
                    fact = _Fact(envelope, body, bool(attachment), state, why=why)
                    self._facts.setdefault(envelope.epoch, {})[seq] = fact

    def _take_row(
        self, body: bytes, checked: bytes, attachment: int, state: int, since: int, why: str
    ) -> None:
        envelope = understood(Envelope, body, "a fact")
        if envelope is not None and checksum(body) == checked:
            fact = _Fact(envelope, body, bool(attachment), state, since, why)
            self._facts.setdefault(envelope.epoch, {})[envelope.seq] = fact

    # --- in the bytes ------------------------------------------------------------------------

    def _take_found(self, envelope: Envelope, body: bytes) -> None:
        """Of an epoch that is known, only what is neither found already nor done."""
        if self._epochs is not None:
            known = self._epochs.get(envelope.epoch)
            if known is None or not known.done < envelope.seq <= known.last:
                return
        facts = self._facts.setdefault(envelope.epoch, {})
        facts.setdefault(envelope.seq, _found_in_bytes(envelope, body))

    def _take_logged(self, envelope: Envelope, body: bytes) -> None:
        """Of a fact in the log the file itself may know neither the number nor the epoch."""
        known = (self._epochs or {}).get(envelope.epoch)
        if known is None or envelope.seq > known.done:
            facts = self._facts.setdefault(envelope.epoch, {})
            facts.setdefault(envelope.seq, _found_in_bytes(envelope, body))


def _rows(
    old: sqlite3.Connection, number: int, epoch: _Epoch | None
) -> Iterator[tuple[bytes, bytes, int, int, int, str]]:
    """Every row of an epoch that SQLite can read: many at once, one by one where a page is bad."""
    select = "SELECT body, sum, attachment, state, since, why FROM outbox"
    last = epoch.last if epoch is not None else 0
    for begin in range(1, last + 1, 100):
        end = min(begin + 100, last + 1)
        try:
            yield from old.execute(
                f"{select} WHERE n >= ? AND n < ?", (place(number, begin), place(number, end))
            ).fetchall()
        except sqlite3.Error:
            for seq in range(begin, end):
                try:
                    yield from old.execute(
                        f"{select} WHERE n = ?", (place(number, seq),)
                    ).fetchall()
                except sqlite3.Error:
                    continue


def _bodies(content: bytes) -> Iterator[tuple[Envelope, bytes]]:
    """Every fact that stands whole in these bytes with its checksum behind it."""
    decoder = json.JSONDecoder()
    for start in (match.start() for match in _BODY.finditer(content)):
        # Latin-1 gives each byte one character: the end is found in bytes.
        text = content[start : start + _LONGEST].decode("latin-1")
        try:
            _, length = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            continue
        body = content[start : start + length]
        if content[start + length : start + length + 4] == checksum(body):
            envelope = understood(Envelope, body, "a fact")
            if envelope is not None:
                yield envelope, body
