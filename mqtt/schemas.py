"""Writes `docs/schemas`: a JSON Schema per message and an AsyncAPI 3 document of the topics.

The one rule: nothing is written by hand. ``python -m mqtt.schemas docs/schemas`` makes the files
from the models and the topics, and a test keeps what is committed equal to it.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import create_model
from pydantic.json_schema import models_json_schema

from mqtt.messages import (
    FACT_KINDS,
    Ack,
    Answer,
    Ask,
    Catalogue,
    Command,
    DeviceHealth,
    DirectoryHead,
    DirectoryShard,
    Envelope,
    Message,
    StationState,
    WeightValue,
)
from mqtt.topics import DEFAULT_ROOT, NAME, SiteTopics

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SITE = SiteTopics(DEFAULT_ROOT, "{site}")
STATION = SITE.station("{station}")

PARAMETERS = {
    "site": f"the shop; matches {NAME.pattern}",
    "station": f"the station; matches {NAME.pattern}",
    "device": f"one device of the station; matches {NAME.pattern}",
    "verb": "what the device shall do",
    "client": "who asked",
    "fact": "the id of the fact that this is a part of",
    "shard": "the first two hex digits of the badge hashes in it, 00 to ff",
}


def _fact(kind: str, data: type[Message]) -> type[Message]:
    name = f"{kind.title()}Fact"
    fields: dict[str, Any] = {"kind": (Literal[kind], ...), "data": (data, ...)}
    return create_model(name, __base__=Envelope, __doc__=data.__doc__, **fields)


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic: which way, how, and what. `model` None: bytes of `content`."""

    name: str
    action: Literal["send", "receive"]
    """Seen from the station: the bridge does the opposite."""
    topic: str
    summary: str
    model: type[Message] | None
    qos: int = 1
    retain: bool = False
    content: str = "application/json"
    values: Mapping[str, list[str]] = field(default_factory=dict)
    reply: str = ""


CHANNELS = [
    *(
        Channel(f"fact-{kind}", "send", STATION.fact(kind), str(data.__doc__), _fact(kind, data))
        for kind, data in FACT_KINDS.items()
    ),
    Channel(
        "blob",
        "send",
        STATION.blob("{fact}"),
        "The binary part of a fact, sent before it: a portrait.",
        None,
        content="image/jpeg",
    ),
    Channel("ack", "receive", STATION.ack, "What the bridge and Odoo have.", Ack, retain=True),
    Channel(
        "state",
        "send",
        STATION.state,
        "Whether the station is connected; also its last will.",
        StationState,
        retain=True,
    ),
    Channel(
        "health",
        "send",
        STATION.health("{device}"),
        "How a device is.",
        DeviceHealth,
        retain=True,
    ),
    Channel(
        "value", "send", STATION.value("{device}"), "What a scale shows now.", WeightValue, qos=0
    ),
    Channel(
        "ask",
        "send",
        STATION.ask("{what}"),
        "Please publish these again.",
        Ask,
        values={"what": ["directory", "catalogue"]},
    ),
    Channel(
        "do",
        "receive",
        STATION.do("{device}", "{verb}"),
        "A command. Its lifetime is the Message Expiry Interval.",
        Command,
        reply="did",
    ),
    Channel("did", "send", STATION.did("{client}"), "The answer to a command.", Answer),
    Channel(
        "directory-head",
        "receive",
        SITE.directory_head,
        "Which members a station must know.",
        DirectoryHead,
        retain=True,
    ),
    Channel(
        "directory-shard",
        "receive",
        SITE.directory_shard("{shard}"),
        "One of 256 parts of the members.",
        DirectoryShard,
        retain=True,
    ),
    Channel(
        "catalogue",
        "receive",
        SITE.catalogue_head,
        "All products sold by weight, and the till's barcode rules.",
        Catalogue,
        retain=True,
    ),
]


def schemas() -> dict[str, dict[str, Any]]:
    """File name without ending → JSON Schema: of each message, and of the envelope by itself."""
    models = {channel.name: channel.model for channel in CHANNELS if channel.model}
    models["envelope"] = Envelope
    return {
        name: {"$schema": DIALECT, "$id": f"urn:edged:v1:{name}", **model.model_json_schema()}
        for name, model in models.items()
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document, from the station's point of view."""
    models = [channel.model for channel in CHANNELS if channel.model]
    _, components = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "edged station",
            "version": "1",
            "description": "What a station sends and receives. A bridge is the other side of it.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in CHANNELS},
        "operations": {channel.name: _operation(channel) for channel in CHANNELS},
        "components": {
            "messages": {channel.name: _message(channel) for channel in CHANNELS},
            "schemas": components["$defs"],
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    names = [level[1:-1] for level in channel.topic.split("/") if level.startswith("{")]
    parameters = {
        name: {"enum": channel.values[name]}
        if name in channel.values
        else {"description": PARAMETERS[name]}
        for name in names
    }
    return {
        "address": channel.topic,
        "description": channel.summary,
        "parameters": parameters,
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    mqtt = {"qos": channel.qos, "retain": channel.retain, "bindingVersion": "0.2.0"}
    operation: dict[str, Any] = {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "bindings": {"mqtt": mqtt},
    }
    if channel.reply:
        operation["reply"] = {"channel": {"$ref": f"#/channels/{channel.reply}"}}
    return operation


def _message(channel: Channel) -> dict[str, Any]:
    message: dict[str, Any] = {"name": channel.name, "contentType": channel.content}
    if channel.model is not None:
        message["payload"] = {"$ref": f"#/components/schemas/{channel.model.__name__}"}
    return message


def files() -> dict[str, str]:
    """Everything that `docs/schemas` holds, by file name."""
    documents = {f"{name}.schema.json": schema for name, schema in schemas().items()}
    documents["asyncapi.json"] = asyncapi()
    return {
        name: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def write(folder: Path) -> None:
    """Make `folder` hold these files and no others of their kind."""
    folder.mkdir(parents=True, exist_ok=True)
    made = files()
    for stale in folder.glob("*.json"):
        if stale.name not in made:
            stale.unlink()
    for name, text in made.items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
