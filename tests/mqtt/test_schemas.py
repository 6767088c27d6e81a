"""The generated documents: up to date, consistent, and true of real messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError
from support.messages import AT, BADGE, ENTRY, ENVELOPE, LABEL

from mqtt import schemas
from mqtt.messages import Ack, Envelope, EpochAck, StationState
from mqtt.topics import parse

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
MODELS = {channel.name: channel.model for channel in schemas.CHANNELS if channel.model} | {
    "envelope": Envelope
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "envelope": {**ENVELOPE, "kind": "from-the-future", "data": {"anything": [1, None]}},
    "fact-badge": {**ENVELOPE, "kind": "badge", "data": BADGE},
    "fact-label": {**ENVELOPE, "kind": "label", "data": LABEL},
    "fact-photo": {
        **ENVELOPE,
        "kind": "photo",
        "data": {
            "device": "camera",
            "who": {"kind": "member", "id": 42},
            "sha256": "0" * 64,
            "size": 81234,
            "consent": {"at": AT, "text": "photo.consent@1", "language": "fr"},
        },
    },
    "fact-clock": {
        **ENVELOPE,
        "kind": "clock",
        "data": {"boot": ENVELOPE["boot"], "up": 1000, "at": AT},
    },
    "fact-damaged": {**ENVELOPE, "kind": "damaged", "data": {"kind": "badge"}},
    "ack": {
        "epochs": [
            {
                "epoch": "k7f3q",
                "stored": 1240,
                "done": 1234,
                "parked": [{"seq": 1201, "id": ENVELOPE["id"], "why": "no such employee"}],
                "listed_from": 201,
            },
            {"epoch": "m2x8d", "stored": 3},
        ]
    },
    "state": {
        "online": True,
        "birth": 17,
        "build": "1.0",
        "since": AT,
        "epochs": [{"epoch": "k7f3q", "first": 1, "last": 1240, "done": 1200, "parked": [1150]}],
    },
    "health": {
        "state": "degraded",
        "key": "printer.paper_low",
        "params": {"name": "x"},
        "since": AT,
    },
    "value": {"at": AT, "value": None, "unit": "kg", "stable": False},
    "ask": {"shards": ["00", "ff"]},
    "do": {"reply_to": "edged/v1/s/t/did/me", "id": "1", "args": {"from": 1001}},
    "did": {"id": "1", "ok": False, "key": "device.silent", "result": {}},
    "directory-head": {"as_of": AT, "count": 1, "shards": {"01": "d" * 64}},
    "directory-shard": {"shard": "01", "entries": [ENTRY]},
    "catalogue": {
        "as_of": AT,
        "digest": "d" * 64,
        "products": [
            {
                "id": 7,
                "name": "Carottes",
                "number": "12",
                "price_cents_per_kg": 350,
                "barcode": "2100070000000",
            }
        ],
        "rules": [
            {"sequence": 1, "type": "weight", "encoding": "ean13", "pattern": "21.....{NNDDD}"}
        ],
    },
}


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_what_is_committed_is_what_is_generated() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert committed == schemas.files(), "run: python -m mqtt.schemas docs/schemas"


def test_writing_replaces_what_is_stale(tmp_path: Path) -> None:
    (tmp_path / "gone.schema.json").write_text("{}")
    schemas.write(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == schemas.files()


def test_there_is_an_example_of_everything() -> None:
    assert EXAMPLES.keys() == MODELS.keys() == schemas.schemas().keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_schema_and_model(name: str) -> None:
    schema, example = schemas.schemas()[name], EXAMPLES[name]
    Draft202012Validator.check_schema(schema)
    validator(schema).validate(example)
    model = MODELS[name].model_validate(example)
    again = json.loads(model.model_dump_json())
    validator(schema).validate(again)
    assert MODELS[name].model_validate(again) == model


@pytest.mark.parametrize("name", EXAMPLES)
def test_unknown_keys_are_ignored(name: str) -> None:
    newer = {**EXAMPLES[name], "from_the_future": {"a": 1}}
    validator(schemas.schemas()[name]).validate(newer)
    assert MODELS[name].model_validate(newer) == MODELS[name].model_validate(EXAMPLES[name])


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_required_is_required_by_both(name: str) -> None:
    schema = schemas.schemas()[name]
    for key in schema.get("required", []):
        incomplete = {k: v for k, v in EXAMPLES[name].items() if k != key}
        assert not validator(schema).is_valid(incomplete)
        with pytest.raises(ValidationError):
            MODELS[name].model_validate(incomplete)


def test_times_are_utc_with_milliseconds_whatever_came_in() -> None:
    state = StationState.model_validate(
        {"online": True, "birth": 1, "since": "2026-11-21T19:13:22.041999+02:00"}
    )
    assert json.loads(state.model_dump_json())["since"] == AT
    with pytest.raises(ValidationError):
        StationState.model_validate({"online": True, "birth": 1, "since": "2026-11-21T17:13:22"})


def test_a_fact_is_byte_identical_after_a_round_trip() -> None:
    once = Envelope.model_validate(EXAMPLES["fact-badge"]).model_dump_json()
    assert Envelope.model_validate_json(once).model_dump_json() == once


def test_an_ack_says_nothing_by_default() -> None:
    assert json.loads(Ack(epochs=(EpochAck(epoch="e"),)).model_dump_json()) == {
        "epochs": [{"epoch": "e", "stored": 0, "done": 0, "parked": [], "listed_from": 1}]
    }
    assert json.loads(Ack().model_dump_json()) == {"epochs": []}


# --- AsyncAPI --------------------------------------------------------------------------------


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_leads_somewhere() -> None:
    document = schemas.asyncapi()
    for reference in references(document):
        node: Any = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_the_document_agrees_with_the_topics_and_the_design() -> None:
    document = schemas.asyncapi()
    assert document["asyncapi"] == "3.0.0"
    for name, channel in document["channels"].items():
        filled = channel["address"]
        for parameter in channel["parameters"]:
            assert f"{{{parameter}}}" in filled
            filled = filled.replace(f"{{{parameter}}}", "x")
        assert "{" not in filled
        if name not in ("directory-head", "directory-shard", "catalogue"):
            assert parse("edged/v1", filled) is not None
        mqtt = document["operations"][name]["bindings"]["mqtt"]
        assert not (name.startswith("fact") and mqtt["retain"]), "a fact is never retained"
    assert document["operations"]["value"]["bindings"]["mqtt"]["qos"] == 0
    received = {n for n, o in document["operations"].items() if o["action"] == "receive"}
    assert received == {"ack", "do", "directory-head", "directory-shard", "catalogue"}
