"""`edged decode`: what captured bytes mean.

The one rule: the answer is the codec's own. This module only carries words to it and back, one
JSON object a line, and a captured frame that makes no sense is an answer, not a failure.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any

from devices.errors import DeviceError
from devices.registry import drivers, load_decoder
from edged.cli import FAILED, MISUSED, OK
from edged.problems import nearest

_INPUTS = ("request", "response", "hex", "bits", "input", "events")


class Unreadable(Exception):
    """What was typed is not an input of `decode`; the message says what to do."""


def main(options: argparse.Namespace) -> int:
    if options.list:
        print("\n".join(sorted(drivers("protocol"))))
        return OK
    if options.batch:
        return _batch(sys.stdin)
    if options.protocol is None:
        print("edged decode: which protocol? `edged decode --list` names them.", file=sys.stderr)
        return MISUSED
    try:
        print(json.dumps(_decode(_typed(options)), ensure_ascii=False))
    except Unreadable as error:
        print(f"edged decode: {error}", file=sys.stderr)
        return MISUSED
    return OK


def _batch(lines: Iterable[str]) -> int:
    status = OK
    for line in lines:
        if not line.strip():
            continue
        try:
            answer = _decode(json.loads(line))
        except (Unreadable, json.JSONDecodeError) as error:
            answer = {"kind": "error", "error": str(error)}
            status = FAILED
        print(json.dumps(answer, ensure_ascii=False), flush=True)
    return status


def _typed(options: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"protocol": options.protocol}
    for name in _INPUTS:
        value = getattr(options, name)
        if value is not None:
            given[name] = value
    if len(given) == 1:
        raise Unreadable("give --hex, --request with --response, --bits, --input or --events")
    if "events" in given:
        try:
            given["events"] = json.loads(given["events"])
        except json.JSONDecodeError as error:
            raise Unreadable(f"--events is not JSON: {error}") from None
    if given.get("input", "").startswith("{"):
        try:
            given["input"] = json.loads(given["input"])
        except json.JSONDecodeError as error:
            raise Unreadable(f"--input begins like JSON and is not: {error}") from None
    if options.config:
        given["config"] = dict(_setting(text) for text in options.config)
    return given


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Unreadable(f"--config {text!r} is not KEY=VALUE")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


def _decode(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Unreadable("each line must be a JSON object")
    protocol = given.get("protocol")
    if not isinstance(protocol, str):
        raise Unreadable('"protocol" is missing')
    name = protocol.replace("_", "-")
    known = drivers("protocol")
    if name not in known:
        raise Unreadable(f"no protocol '{protocol}'.{nearest(name, drivers('protocol'))}")
    vector = {key: value for key, value in given.items() if key != "protocol"}
    try:
        return load_decoder(name)(vector)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"{protocol}: {error}") from None
    except DeviceError as error:
        raise Unreadable(f"{protocol} cannot be decoded here: {error}") from None
