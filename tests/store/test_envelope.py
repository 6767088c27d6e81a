import itertools
import time
import uuid
from datetime import UTC, datetime

from support.stores import fact

from mqtt.messages import Envelope
from store.envelope import Draft, Ids, boot_id, now_ms, uptime_ms


def test_ids_are_version_7_and_carry_the_time():
    before = time.time_ns() // 1_000_000
    number = uuid.UUID(Ids().next())
    assert number.version == 7
    assert number.variant == uuid.RFC_4122
    assert before <= number.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_grow_also_within_a_millisecond_and_when_the_clock_goes_back(monkeypatch):
    clock = itertools.chain([5_000_000_000_000] * 10_000, [4_000_000_000_000] * 10_000)
    monkeypatch.setattr("store.envelope.time.time_ns", lambda: next(clock))
    ids = Ids()
    made = [ids.next() for _ in range(20_000)]
    assert made == sorted(set(made))
    assert all(uuid.UUID(one).version == 7 for one in made)


def test_time_is_whole_milliseconds_of_utc():
    now = now_ms()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60


def test_uptime_grows_and_the_boot_has_a_name():
    assert 0 < uptime_ms() <= uptime_ms()
    assert uuid.UUID(boot_id())


def test_the_bytes_are_the_envelope():
    draft = Draft(
        id=Ids().next(),
        at=datetime(2026, 11, 21, 17, 13, 22, 41_000, tzinfo=UTC),
        clock="unsynced",
        boot="b",
        up=81_234,
        kind="badge",
        data=fact().model_dump(mode="json"),
    )
    envelope, body = draft.sealed("k7f3q", 1234)
    assert Envelope.model_validate_json(body) == envelope
    assert b'"at":"2026-11-21T17:13:22.041Z"' in body
    assert (envelope.epoch, envelope.seq, envelope.clock) == ("k7f3q", 1234, "unsynced")
