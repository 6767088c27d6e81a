"""`edged decode` as people and scripts really write: every spelling of bytes, every bad line."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest


def edged(
    *arguments: str, given: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "edged", "decode", *arguments],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def batch(*lines: bytes | dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The answers and the exit status."""
    given = b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
    )
    said = edged("--batch", given=given)
    assert said.stderr == b""
    return [json.loads(line) for line in said.stdout.splitlines()], said.returncode


@pytest.mark.parametrize("family", ["scale", "badge-reader", "badge_reader"])
def test_the_family_may_stand_before_the_protocol(family: str) -> None:
    said = edged(family, "mettler-8217", "--hex", "02 30 31 2E 32 33 34 0D")
    assert json.loads(said.stdout)["value"] == "1.234"


@pytest.mark.parametrize("words", [["scale"], ["mettler-8217", "scale"], ["scale", "ean", "id12"]])
def test_other_words_are_not_taken_for_a_family(words: list[str]) -> None:
    said = edged(*words, "--hex", "02")
    assert (said.returncode, said.stdout) == (2, b"")


def test_bytes_in_every_spelling() -> None:
    spellings = [
        "023F410D", "02 3f 41 0d", "02:3F:41:0D", "02-3f-41-0d", "0x02 0x3F 0x41 0x0D",
        "0x2, 0x3f, 0x41, 0xd", "0x023F410D", r"\x02\x3f\x41\x0d", " 02\t3F\n41 0D ", "023F 410D",
    ]  # fmt: skip
    answers, status = batch(*({"protocol": "METTLER_8217", "hex": text} for text in spellings))
    assert status == 0
    assert [(answer["kind"], answer["raw"]) for answer in answers] == [("status", 0x41)] * 10


def test_each_bad_line_is_one_answer_and_the_rest_goes_on() -> None:
    bad: list[bytes | dict[str, Any]] = [
        b"nonsense",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'"\xe9"',
        b"[1]",
        {},
        {"protocol": None},
        {"protocol": "\ud800"},
        {"protocol": "metler-8217", "hex": "02"},
        {"protocol": "mettler-8217", "hex": "zz"},
        {"protocol": "mettler-8217", "hex": "0"},
        {"protocol": "mettler-8217", "hex": 5},
        {"protocol": "mettler-8217", "response": []},
        {"protocol": "mettler-8217", "hex": "02", "config": [1]},
        {"protocol": "hid-wedge", "events": 5},
        b'{"protocol": "hid-wedge", "events": [[1, 1e999, 1]]}',
        {"protocol": "escpos-print", "input": {"cmd": "raster", "rows": [5]}},
        {"protocol": "barcode-embedded", "input": "1", "config": {"rules": 5}},
    ]
    good = {"protocol": "ean", "input": "3017620422003"}
    answers, status = batch(good, *bad, b"", good)
    assert status == 1
    assert len(answers) == len(bad) + 2
    assert [answer["kind"] for answer in answers] == ["ean", *["error"] * len(bad), "ean"]
    assert "mettler-8217" in answers[9]["error"]


def test_what_is_null_is_absent_except_a_response() -> None:
    nulls = {"hex": None, "input": None, "events": None, "config": None, "bits": None}
    answers, status = batch(
        {"protocol": "mettler-8217", "request": "57", "response": "02 3F 41 0D"} | nulls,
        {"protocol": "mettler-8217", "request": "41", "response": None},
        {"protocol": "escpos-print", "input": None, "hex": "1b40"},
    )
    assert status == 0
    assert [answer["kind"] for answer in answers] == ["status", "command", "bytes"]


def test_a_setting_is_text_unless_it_is_a_list_or_an_object() -> None:
    options = ["--input", "4100001", "--config", "pattern=41", "--config", "type=cashier"]
    assert json.loads(edged("barcode-embedded", *options).stdout)["type"] == "cashier"
    rules = '[{"pattern": "41", "type": "cashier"}]'
    said = edged("barcode-embedded", "--input", "4100001", "--config", f"rules={rules}")
    assert json.loads(said.stdout)["type"] == "cashier"


def test_the_answer_is_json_on_any_terminal() -> None:
    frame = "e9 20 f0 9f 98 80 0d"
    for encoding in ("ascii", "latin-1", "utf-8"):
        said = edged("serial-scanner", "--hex", frame, PYTHONIOENCODING=encoding)
        assert json.loads(said.stdout.decode(encoding))["text"].startswith("é ")
    answers, _ = batch({"protocol": "ieee1284-id", "input": "MFG:\ud800;"})
    assert answers[0]["manufacturer"] == "\ud800"
