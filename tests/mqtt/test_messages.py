"""Messages between versions: what one does not know costs as little as can be."""

from typing import Any

import pytest
from pydantic import ValidationError
from support.messages import AT, BADGE, ENTRY, ENVELOPE, LABEL

from mqtt.messages import (
    BadgeData,
    DeviceHealth,
    DirectoryShard,
    Entry,
    Envelope,
    LabelData,
    ReceivedShard,
)


@pytest.mark.parametrize(
    ("model", "whole", "key"),
    [(BadgeData, BADGE, "shown"), (LabelData, LABEL, "action"), (LabelData, LABEL, "mode")],
)
def test_an_unknown_word_costs_no_fact(model: Any, whole: dict[str, Any], key: str) -> None:
    newer = model.model_validate(whole | {key: "of-a-newer-version"})
    assert getattr(newer, key) == "of-a-newer-version"
    assert model.model_validate_json(newer.model_dump_json()) == newer
    # What is no word at all is a mistake as before.
    for nonsense in (5, None, ["ok"]):
        with pytest.raises(ValidationError):
            model.model_validate(whole | {key: nonsense})


@pytest.mark.parametrize("model", [BadgeData, LabelData])
def test_the_schema_says_which_words_exist_and_that_others_may_come(model: Any) -> None:
    properties = model.model_json_schema()["properties"]
    (key, known), *_ = [(k, p["anyOf"]) for k, p in properties.items() if "newer" in str(p)]
    assert (BADGE | LABEL)[key] in known[0]["enum"]
    assert known[1] == {"type": "string"}


def envelope(clock: object) -> Envelope:
    return Envelope.model_validate({**ENVELOPE, "clock": clock, "kind": "badge", "data": {}})


def test_a_clock_of_an_unknown_quality_is_not_trusted() -> None:
    assert [envelope(word).clock for word in ("synced", "holdover", "unsynced", "atomic")] == [
        "synced",
        "holdover",
        "unsynced",
        "unsynced",
    ]
    for nonsense in (5, None, ["synced"]):
        with pytest.raises(ValidationError):
            envelope(nonsense)


def test_a_drivers_values_of_any_type_are_said_as_text() -> None:
    told = {"code": 5, "path": "\udce9", 3: None}
    health = DeviceHealth.model_validate(
        {"state": "failing", "key": 7, "params": told, "since": AT}
    )
    assert health.key == "7"
    assert health.params == {"code": "5", "path": "?", "3": "None"}
    assert DeviceHealth.model_validate_json(health.model_dump_json()) == health


def test_a_received_shard_holds_its_entries_as_they_came() -> None:
    entries = [
        {"badge": "ab" + "0" * 30, "verdict": "later", "hours": [8, 20]},
        {"badge": "ab" + "1" * 30, "who": "somebody"},
    ]
    received = ReceivedShard.model_validate({"shard": "ab", "entries": entries})
    assert list(received.entries) == entries
    for wrong in ({"shard": "xy", "entries": []}, {"shard": "ab", "entries": [1]}):
        with pytest.raises(ValidationError):
            ReceivedShard.model_validate(wrong)


def test_what_a_bridge_writes_is_what_a_station_reads() -> None:
    entry = Entry.model_validate(ENTRY)
    written = DirectoryShard(shard=entry.badge[:2], entries=(entry,)).model_dump_json()
    (read,) = ReceivedShard.model_validate_json(written).entries
    assert Entry.model_validate(read) == entry
