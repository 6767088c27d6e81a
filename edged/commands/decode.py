"""`edged decode`: what captured bytes mean.

The one rule: the answer is the codec's own. This module only carries words to it and back, one
JSON object a line, and a captured frame that makes no sense is an answer, not a failure.

Bytes may be written as people and tools write them (``02 30``, ``02:30``, ``0x02, 0x30``); codecs
get them as plain hexadecimal.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from devices.errors import DeviceError, why
from devices.registry import drivers, load_decoder
from edged.cli import FAILED, MISUSED, OK
from mqtt.settings import nearest

_BYTES = ("request", "response", "hex")
_INPUTS = (*_BYTES, "bits", "input", "events")
_FAMILIES = ("badge_reader", "scale", "printer", "camera")
_LONE_DIGIT = re.compile(r"(?<![0-9A-Za-z])0[xX]([0-9A-Fa-f])(?![0-9A-Fa-f])")
_PREFIX = re.compile(r"(?<![0-9A-Za-z])0[xX]|\\x")
_BETWEEN = re.compile(r"[\s:,;-]+")


class Unreadable(Exception):
    """What was typed is not an input of `decode`; the message says what to do."""


def main(options: argparse.Namespace) -> int:
    if options.list:
        print("\n".join(sorted(drivers("protocol"))))
        return OK
    if options.batch:
        return _batch(sys.stdin.buffer)
    if not options.protocol:
        print("edged decode: which protocol? `edged decode --list` names them.", file=sys.stderr)
        return MISUSED
    try:
        _say(_decode(_typed(options)))
    except Unreadable as error:
        print(f"edged decode: {error}", file=sys.stderr)
        return MISUSED
    return OK


def _batch(lines: Iterable[bytes]) -> int:
    status = OK
    for line in lines:
        if not line.strip():
            continue
        try:
            answer = _decode(_json(line))
        except Unreadable as error:
            answer = {"kind": "error", "error": str(error)}
            status = FAILED
        _say(answer)
    return status


def _say(answer: dict[str, Any]) -> None:
    """One line of JSON, in characters that standard output has."""
    line = json.dumps(answer, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # half a surrogate pair, or a terminal without these letters
        line = json.dumps(answer)
    print(line, flush=True)


def _json(text: bytes | str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from None
    except RecursionError:
        raise Unreadable("not JSON that anybody wrote: too many brackets in brackets") from None


def _typed(options: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"protocol": _protocol(options.protocol)}
    for name in _INPUTS:
        value = getattr(options, name)
        if value is not None:
            given[name] = value
    if len(given) == 1:
        raise Unreadable("give --hex, --request with --response, --bits, --input or --events")
    if "events" in given:
        given["events"] = _json_of("--events", given["events"])
    if given.get("input", "").startswith("{"):
        given["input"] = _json_of("--input", given["input"])
    if options.config:
        given["config"] = dict(_setting(text) for text in options.config)
    return given


def _protocol(words: list[str]) -> str:
    """The protocol; its family may stand before it, as in `edged decode scale mettler-8217`."""
    if len(words) == 2 and words[0].replace("-", "_") in _FAMILIES:
        return words[1]
    if len(words) > 1:
        raise Unreadable(f"one protocol expected, not {' '.join(words)!r}")
    return words[0]


def _json_of(option: str, text: str) -> Any:
    try:
        return _json(text)
    except Unreadable as error:
        raise Unreadable(f"{option}: {error}") from None


def _setting(text: str) -> tuple[str, Any]:
    """Text, unless it is a list or an object: a pattern such as ``041`` is no number."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Unreadable(f"--config {text!r} is not KEY=VALUE")
    if value.startswith(("[", "{")):
        try:
            return key, json.loads(value)
        except (ValueError, RecursionError):
            return key, value
    return key, value


def _decode(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Unreadable("each line must be a JSON object")
    protocol = given.get("protocol")
    if not isinstance(protocol, str):
        raise Unreadable('"protocol" is missing')
    name = protocol.strip().lower().replace("_", "-")
    known = drivers("protocol")
    if name not in known:
        raise Unreadable(f"no protocol '{protocol}'.{nearest(name, known)}")
    try:
        answer: object = load_decoder(name)(_vector(given))
        json.dumps(answer)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise Unreadable(f"{protocol}: {error}") from None
    except DeviceError as error:
        raise Unreadable(f"{protocol} cannot be decoded here: {error}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a stranger's decoder)
        raise Unreadable(f"{protocol}: its decoder does not work: {why(error)}") from None
    if not isinstance(answer, dict):
        raise Unreadable(f"{protocol}: its decoder gives no object")
    return answer


def _vector(given: dict[str, Any]) -> dict[str, Any]:
    """The inputs as codecs take them: what is null is absent, except a `response`.

    Raises ValueError for one that is not of its kind.
    """
    vector = {
        name: value
        for name, value in given.items()
        if name != "protocol" and (value is not None or name == "response")
    }
    for name in _BYTES:
        if vector.get(name) is not None:
            vector[name] = _hex(name, vector[name])
    if not isinstance(vector.get("events", []), list):
        raise ValueError("events: a list of [type, code, value] expected")  # noqa: TRY004
    if not isinstance(vector.get("config", {}), dict):
        raise ValueError("config: an object expected")  # noqa: TRY004 (decoders' contract)
    return vector


def _hex(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: a text of hexadecimal digits expected")  # noqa: TRY004
    text = _PREFIX.sub(" ", _LONE_DIGIT.sub(r"0\1", value))
    words = _BETWEEN.sub(" ", text).split()
    for word in words:
        if not re.fullmatch("[0-9A-Fa-f]+", word):
            raise ValueError(f"{name}: {word[:20]!r} is not hexadecimal")
        if len(word) % 2:
            raise ValueError(f"{name}: two digits a byte expected, not {word[:20]!r}")
    return " ".join(words)
