"""What the inbox takes, in which order, what it remembers, and what survives."""

import hashlib
import os
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bridging import uuid7

from bridge.blobs import Blobs
from bridge.inbox import Inbox
from bridge.intake import UNREADABLE_TRIES, InboxFull
from bridge.ledger import Fact, Gap, Item, Station
from mqtt.messages import Envelope

HERE = Station("demo", "entree")
AT = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def fact(seq: int, kind: str = "label", data: dict[str, Any] | None = None, **options: Any) -> Item:
    given = {
        "id": uuid7(), "epoch": "e1", "seq": seq, "at": AT, "clock": "synced", "boot": "b1",
        "up": 1000 * seq, "kind": kind, "data": data or {},
    }  # fmt: skip
    envelope = Envelope.model_validate({**given, **options})
    return Item("demo", "entree", "fact", kind, envelope.model_dump_json().encode())


def blob(fact_id: str, content: bytes) -> Item:
    return Item("demo", "entree", "blob", fact_id, content)


@pytest.fixture
def inbox(tmp_path: Path) -> Any:
    inbox = Inbox(tmp_path / "inbox")
    yield inbox
    inbox.close()


def oldest(inbox: Inbox) -> Fact | None:
    return next(iter(inbox.waiting("demo", 1)), None)


def stored(inbox: Inbox) -> int:
    ack = inbox.ack(HERE)
    return ack.stored if ack else 0


def test_only_the_next_number_is_taken(inbox: Inbox) -> None:
    outcome = inbox.store([fact(1), fact(3), fact(2), fact(10**30)])
    assert stored(inbox) == 2
    assert outcome.gaps == {HERE: Gap(HERE, "e1", 3)}
    assert inbox.store([fact(3), fact(4)]).gaps == {HERE: None}
    assert stored(inbox) == 4


@settings(max_examples=40, deadline=None)
@given(order=st.lists(st.integers(1, 8), max_size=60))
def test_whatever_comes_however_often_nothing_is_missing_below_stored(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    inbox = Inbox(tmp_path_factory.mktemp("inbox"))
    facts = {seq: fact(seq) for seq in range(1, 9)}
    expected = 0
    for seq in order:
        inbox.store([facts[seq]])
        expected += seq == expected + 1
        assert stored(inbox) == expected
        assert inbox.counts("demo")["waiting"] == expected
    assert inbox.counts("demo")["strays"] == 0
    inbox.close()


def test_the_first_bytes_are_kept_and_others_raise_an_alarm(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    first = fact(1, data={"x": 1})
    inbox.store([first])
    inbox.store([first])
    assert inbox.counts("demo")["strays"] == 0
    other = fact(1, data={"x": 2})
    inbox.store([other])
    inbox.store([other])
    assert inbox.counts("demo")["strays"] == 1
    assert caplog.text.count("other bytes") == 1
    kept = oldest(inbox)
    assert kept is not None
    assert kept.envelope.data == {"x": 1}


def test_an_id_that_was_used_before_does_not_hold_up_the_station(inbox: Inbox) -> None:
    same = uuid7()
    inbox.store([fact(1, id=same), fact(2, id=same, data={"x": 2}), fact(3)])
    assert stored(inbox) == 3
    assert inbox.counts("demo")["strays"] == 1
    assert inbox.counts("demo")["waiting"] == 2


def test_a_new_store_begins_anew_and_the_ack_is_about_the_last_heard_of(inbox: Inbox) -> None:
    inbox.store([fact(1), fact(2)])
    inbox.store([fact(1, epoch="e2")])
    ack = inbox.ack(HERE)
    assert ack is not None
    assert (ack.epoch, ack.stored) == ("e2", 1)
    inbox.store([fact(3)])
    ack = inbox.ack(HERE)
    assert ack is not None
    assert (ack.epoch, ack.stored) == ("e1", 3)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff", b"[1]", b'{"v": 2}'],
)
def test_what_is_no_fact_is_put_aside(inbox: Inbox, body: bytes) -> None:
    inbox.store([Item("demo", "entree", "fact", "label", body), fact(1)])
    assert stored(inbox) == 1
    assert inbox.counts("demo")["strays"] == 1


@pytest.mark.parametrize("up", [-1, 10**30])
def test_a_senseless_uptime_is_the_facts_trouble_alone(inbox: Inbox, up: int) -> None:
    clock = {"boot": "b1", "up": 5, "at": "2026-11-21T09:00:00.000Z"}
    inbox.store([fact(1, clock="unsynced", up=up), fact(2, "clock", clock), fact(3)])
    label = oldest(inbox)
    assert label is not None
    assert not label.dated
    inbox.done([(label, {})])
    assert stored(inbox) == 3


def test_an_ack_stays_small_however_much_is_parked(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that refused it would leave the station without any word."""
    monkeypatch.setattr("bridge.inbox.PARKED_TOLD", 2)
    inbox.store([fact(seq) for seq in range(1, 6)])
    for parked in inbox.waiting("demo", 5):
        inbox.park(parked, "because")
    ack = inbox.ack(HERE)
    assert ack is not None
    assert (ack.done, [p.seq for p in ack.parked]) == (5, [4, 5])
    assert len(inbox.parked()) == 5


@pytest.mark.parametrize(
    ("at", "up"),
    [
        ("0001-01-01T00:00:00Z", 10**9),
        ("1970-01-01T00:00:10Z", 10),
        ("9999-12-31T23:59:59Z", 5),
        ("9999-12-31T23:59:59.9999Z", 5),
    ],
)
def test_a_clock_of_another_world_dates_nothing(inbox: Inbox, at: str, up: int) -> None:
    """Nor does it stop the shop: a date of before year 1 or after 9999 is none."""
    inbox.store([
        fact(1, clock="unsynced", up=10**6), fact(2, "clock", {"boot": "b1", "up": up, "at": at}),
    ])  # fmt: skip
    label = oldest(inbox)
    assert label is not None
    assert not label.dated
    inbox.store([fact(3, "clock", CLOCK)])
    label = oldest(inbox)
    assert label is not None
    assert label.dated


@pytest.mark.parametrize("first", [10**18, 2**63, 10**30])
def test_no_station_can_say_away_all_that_it_will_ever_have(inbox: Inbox, first: int) -> None:
    inbox.store([fact(1)])
    assert not inbox.hole(HERE, "e1", first)
    inbox.store([fact(2)])
    assert stored(inbox) == 2


def test_a_hole_is_accepted_only_ahead(inbox: Inbox) -> None:
    inbox.store([fact(1), fact(9)])
    assert not inbox.hole(HERE, "e1", 2)
    assert not inbox.hole(HERE, "other", 9)
    assert inbox.hole(HERE, "e1", 9)
    assert stored(inbox) == 8
    inbox.store([fact(9)])
    assert stored(inbox) == 9
    assert inbox.counts("demo")["holes"] == 1


def test_done_counts_up_to_the_first_that_is_not(inbox: Inbox) -> None:
    inbox.store([fact(1, clock="unsynced"), fact(2), fact(3)])
    one = oldest(inbox)
    assert one is not None
    inbox.hold(one)
    two = oldest(inbox)
    assert two is not None
    inbox.done([(two, None)])
    three = oldest(inbox)
    assert three is not None
    inbox.park(three, "because", "Camille Durand …")
    ack = inbox.ack(HERE)
    assert ack is not None
    assert (ack.stored, ack.done, [p.seq for p in ack.parked]) == (3, 0, [3])
    assert "Camille" not in ack.model_dump_json()
    assert "Camille" not in repr(inbox.parked())


CLOCK = {"boot": "b1", "up": 9_000, "at": "2026-11-20T08:00:09Z"}


@pytest.mark.parametrize(
    "meanwhile",
    [fact(2, boot="b2"), fact(2, "clock", CLOCK)],
    ids=["a new boot", "the clock fact"],
)
def test_what_would_release_a_fact_may_come_while_it_is_looked_at(
    inbox: Inbox, meanwhile: Item
) -> None:
    """Else it would be held for ever: neither comes a second time."""
    inbox.store([fact(1, clock="unsynced")])
    looked_at = oldest(inbox)
    assert looked_at is not None
    assert looked_at.datable
    inbox.store([meanwhile])
    inbox.hold(looked_at)
    again = oldest(inbox)
    assert again is not None
    assert again.id == looked_at.id
    assert again.dated or not again.datable


def test_a_fact_without_a_time_is_kept_back_until_its_boot_has_one(inbox: Inbox) -> None:
    inbox.store([fact(1, clock="unsynced")])
    looked_at = oldest(inbox)
    assert looked_at is not None
    inbox.hold(looked_at)
    assert oldest(inbox) is None
    inbox.store([fact(2, "clock", CLOCK)])
    released = oldest(inbox)
    assert released is not None
    assert released.dated
    assert released.at == AT + timedelta(seconds=1)


def test_a_fact_of_a_replaced_store_is_not_kept_back_for_ever(inbox: Inbox) -> None:
    """Its boot goes on in the new store; when that boot is over, so is the waiting."""
    inbox.store([fact(1, clock="unsynced")])
    held = oldest(inbox)
    assert held is not None
    inbox.hold(held)
    inbox.store([fact(1, epoch="e2")])
    waiting = inbox.waiting("demo", 9)
    assert [one.envelope.epoch for one in waiting] == ["e2"]
    inbox.store([fact(2, epoch="e2", boot="b2")])
    released = oldest(inbox)
    assert released is not None
    assert released.id == held.id
    assert (released.dated, released.datable) == (False, False)


def test_everything_survives_a_restart(inbox: Inbox, tmp_path: Path) -> None:
    inbox.store([fact(1), fact(2)])
    again = Inbox(tmp_path / "inbox")
    assert stored(again) == 2
    assert again.counts("demo")["waiting"] == 2
    assert oct((tmp_path / "inbox" / "inbox.sqlite").stat().st_mode)[-3:] == "600"
    again.close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    Inbox(tmp_path).close()
    db = sqlite3.connect(tmp_path / "inbox.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(RuntimeError, match="newer bridge"):
        Inbox(tmp_path)


def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, min_free_mb=10**9)
    with pytest.raises(InboxFull):
        inbox.store([fact(1)])
    assert inbox.ack(HERE) is None
    inbox.close()


def test_a_commit_that_fails_leaves_the_next_one_possible(inbox: Inbox) -> None:
    """As on a disk that is full at that very moment; here for a reference that is missing."""
    ledger = inbox._ledger
    ledger.execute("PRAGMA foreign_keys = ON")
    ledger.execute(
        "CREATE TABLE late (stream INTEGER REFERENCES streams DEFERRABLE INITIALLY DEFERRED)"
    )
    with pytest.raises(sqlite3.IntegrityError), ledger.transaction():
        ledger.execute("INSERT INTO late VALUES (99)")
    inbox.store([fact(1)])
    assert stored(inbox) == 1
    assert ledger.one("SELECT count(*) FROM late") == 0


@pytest.mark.parametrize("meanwhile", [False, True])
def test_records_get_their_time_when_the_clock_becomes_right(inbox: Inbox, meanwhile: bool) -> None:
    inbox.store([fact(1, clock="unsynced", up=60_000)])
    label = oldest(inbox)
    assert label is not None
    assert not label.dated
    clock = {"boot": "b1", "up": 120_000, "at": "2026-11-21T09:00:00.000Z"}
    steps = [
        lambda: inbox.done([(label, {"net_g": 482})]),
        lambda: inbox.store([fact(2, "clock", clock)]),
    ]
    for step in reversed(steps) if meanwhile else steps:
        step()
    row = inbox._ledger.row("SELECT at, clock FROM record")
    assert row == (round(datetime(2026, 11, 21, 8, 59, tzinfo=UTC).timestamp() * 1000), "repaired")


def test_pruning_forgets_what_was_settled_and_still_knows_a_duplicate(inbox: Inbox) -> None:
    first, second = fact(1), fact(2)
    inbox.store([first, second])
    one = oldest(inbox)
    assert one is not None
    inbox.done([(one, {})])
    inbox._ledger.execute("UPDATE facts SET received = 0")
    inbox.prune(30)
    assert inbox.counts("demo")["done"] == 0
    assert inbox.counts("demo")["waiting"] == 1
    inbox.store([first])
    assert inbox.counts("demo")["waiting"] == 1
    assert stored(inbox) == 2


def test_a_record_of_a_wrong_clock_is_kept_as_long_as_any(inbox: Inbox) -> None:
    """A station without a clock of its own begins years ago, and its clock fact may come late."""
    inbox.store([fact(1, clock="unsynced", at=datetime(2023, 1, 1, tzinfo=UTC))])
    label = oldest(inbox)
    assert label is not None
    inbox.done([(label, {"net_g": 482})])
    inbox.prune(90)
    assert inbox._ledger.one("SELECT count(*) FROM record") == 1
    inbox._ledger.execute("UPDATE facts SET received = 0")
    inbox.prune(90)
    assert inbox._ledger.one("SELECT count(*) FROM record") == 0


# --- blobs ----------------------------------------------------------------------------------


def photo(seq: int, content: bytes, fact_id: str) -> Item:
    data = {
        "device": "portrait", "who": {"kind": "member", "id": 1},
        "sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
        "consent": {"at": "2026-11-20T08:00:00.000Z", "text": "k/1", "language": "fr"},
    }  # fmt: skip
    return fact(seq, "photo", data, id=fact_id)


def test_a_photo_needs_its_bytes(inbox: Inbox, tmp_path: Path) -> None:
    one = uuid7()
    outcome = inbox.store([photo(1, b"jpeg", one), fact(2)])
    assert outcome.gaps == {HERE: Gap(HERE, "e1", 1)}
    inbox.store([blob(one, b"jpe")])
    assert inbox.store([photo(1, b"jpeg", one)]).gaps == {HERE: Gap(HERE, "e1", 1)}
    assert inbox.store([blob(one, b"jpeg"), photo(1, b"jpeg", one)]).gaps == {HERE: None}
    file = tmp_path / "inbox" / "blobs" / one
    assert oct(file.stat().st_mode)[-3:] == "600"
    waiting = oldest(inbox)
    assert waiting is not None
    inbox.done([(waiting, None)])
    assert not file.exists()
    inbox.store([blob(one, b"jpeg")])
    assert not file.exists()


ONE_ID = "019aa2f0-5c11-7b3e-8d5a-3f0c9be4a711"


@pytest.mark.parametrize("name", ["../inbox.sqlite", "x", "", ONE_ID + "/..", ONE_ID.upper()])
def test_only_a_facts_id_becomes_a_file(inbox: Inbox, tmp_path: Path, name: str) -> None:
    inbox.store([blob(name, b"evil")])
    assert not list((tmp_path / "inbox" / "blobs").iterdir())
    assert inbox.counts("demo")["strays"] == 1


def unreadable(seq: str, body: bytes = b"\x00 no envelope", epoch: str = "e1") -> Item:
    return Item("demo", "entree", "fact", "label", body, {"epoch": epoch, "seq": seq})


def test_bytes_that_are_no_envelope_do_not_hold_up_their_station_for_ever(inbox: Inbox) -> None:
    inbox.store([fact(1)])
    for _ in range(UNREADABLE_TRIES - 1):
        outcome = inbox.store([unreadable("2"), fact(3)])
        assert stored(inbox) == 1
        assert outcome.gaps == {HERE: Gap(HERE, "e1", 2)}
    outcome = inbox.store([unreadable("2"), fact(3)])
    assert outcome.gaps == {HERE: None}
    assert stored(inbox) == 3
    inbox.store([unreadable("2")])
    counts = inbox.counts("demo")
    assert (counts["holes"], counts["strays"]) == (1, 1)  # and the bytes are kept


@pytest.mark.parametrize(
    "item",
    [
        Item("demo", "entree", "fact", "label", b"nothing beside them: MQTT 3.1.1"),
        unreadable("2", b'{"v": 2, "id": "of a later version"}'),
        unreadable("2", epoch=""),
        *(unreadable(seq) for seq in ("", "0", "-2", "2.0", "3", "1", "two", "\u0662", "9" * 40)),
    ],
)
def test_what_may_yet_be_read_or_is_not_numbered_leaves_no_hole(inbox: Inbox, item: Item) -> None:
    inbox.store([fact(1)])
    for _ in range(3 * UNREADABLE_TRIES):
        inbox.store([item])
    assert stored(inbox) == 1
    assert inbox.counts("demo")["holes"] == 0
    inbox.store([fact(2)])
    assert stored(inbox) == 2


def test_old_blobs_nobody_claimed_are_removed(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    claimed, old, new = uuid7(), uuid7(), uuid7()
    for name in (claimed, old, new):
        blobs.put(name, b"x")
    past = time.time() - timedelta(days=30).total_seconds()
    for name in (claimed, old):
        os.utime(tmp_path / name, (past, past))
    blobs.prune({claimed})
    assert {file.name for file in tmp_path.iterdir()} == {claimed, new}
