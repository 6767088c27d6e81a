"""Commands as bytes: equal to the vectors and to what python-escpos would send."""

import subprocess
import sys

import pytest
from support.labels import APPLES
from support.vectors import load, name_of

from printer import encode
from printer.decode import decode_ieee1284, decode_print
from printer.layout import Sheet, draw

PRINT = load("escpos_print")
IEEE1284 = load("ieee1284_id")


@pytest.mark.parametrize("vector", PRINT, ids=name_of)
def test_commands(vector: dict) -> None:
    said = decode_print(vector)
    assert said["hex"] == vector["hex"]
    assert {key: said.get(key) for key in vector["expect"]} == vector["expect"]


def test_bytes_without_a_command_are_told_back() -> None:
    assert decode_print({"hex": "1b40"}) == {"kind": "bytes", "hex": "1B 40"}


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"cmd": "explode"},
        {"cmd": "asb"},
        {"cmd": "asb", "mask": 256},
        {"cmd": "asb", "mask": True},
        {"cmd": "raster_header_only", "width": 384, "height": 0},
        {"cmd": "barcode_setup", "height": 80, "width": 2, "hri": "left"},
        {"cmd": "qr", "data": ""},
        {"cmd": "qr", "data": 5},
        {"cmd": "ean13", "data": "12"},
        {"cmd": "barcode", "type": "QR", "data": "301762042200"},
        {"cmd": "raster"},
        {"cmd": "raster", "rows": []},
        {"cmd": "raster", "rows": ["10", "1"]},
        {"cmd": "raster", "rows": "01"},
        {"cmd": "raster", "rows": ["", ""]},
        {"cmd": "raster", "rows": ["1"], "max_rows": 0},
        {"cmd": "text", "text": "€", "codepage": "cp437"},
        {"cmd": "text", "text": "é", "codepage": "utf-8"},
    ],
)
def test_a_bad_argument_is_named(given_: dict) -> None:
    with pytest.raises(ValueError, match=r"cmd|mask|height|hri|data|type|rows|text|codepage"):
        decode_print({"input": given_})


def test_cut_drawer_and_ean13_in_both_functions() -> None:
    def sent(**given_: object) -> str:
        return str(decode_print({"input": given_})["hex"])

    assert sent(cmd="cut", feed=5) == "1D 56 41 05"
    assert sent(cmd="drawer", pin=1) == "1B 70 01 19 FA"
    assert sent(cmd="drawer", pin=2, t1=50) == "1B 70 00 32 FA"
    assert sent(cmd="drawer", pin=5) == "1B 70 01 19 FA"
    assert sent(cmd="ean13", data="210010400482", function="A").startswith("1D 6B 02 32 31")
    assert sent(cmd="ean13", data="2100104004824").startswith("1D 6B 43 0D 32 31")
    assert sent(cmd="barcode", type="EAN13", data="2100104004824").startswith("1D 6B 43 0D 32")
    assert sent(cmd="status", n=4) == "10 04 04"
    assert sent(cmd="feed", dots=300) == "1B 4A FF 1B 4A 2D"


def test_a_picture_and_a_text() -> None:
    def sent(**given_: object) -> str:
        return str(decode_print({"input": given_})["hex"])

    assert sent(cmd="raster", rows=["10000001", "11111111"]) == "1D 76 30 00 01 00 02 00 81 FF"
    assert sent(cmd="raster", rows=["100000011"] * 1) == "1D 76 30 00 02 00 01 00 81 80"
    two = sent(cmd="raster", rows=["1", "0"], max_rows=1)
    assert two == "1D 76 30 00 01 00 01 00 80 1D 76 30 00 01 00 01 00 00"
    assert sent(cmd="text", text="2 €") == "1B 74 13 32 20 D5"


@pytest.mark.parametrize("sheet", [Sheet.of(203, 464), Sheet.of(180, 512)], ids=str)
def test_a_label_is_encoded_as_python_escpos_does(sheet: Sheet) -> None:
    """In a process of its own: `escpos.printer` configures logging and leaves a folder in /tmp."""
    picture = draw(APPLES, sheet)
    script = """
import sys
out, sys.stdout = sys.stdout.buffer, sys.stderr  # it prints a remark about its profile
from PIL import Image
from escpos.printer import Dummy
width, height = int(sys.argv[1]), int(sys.argv[2])
printer = Dummy()
printer.image(Image.frombytes("1", (width, height), sys.stdin.buffer.read()), fragment_height=255)
out.write(printer.output)
"""
    theirs = subprocess.run(
        [sys.executable, "-c", script, str(picture.width), str(picture.height)],
        input=picture.tobytes(),
        capture_output=True,
        check=True,
        timeout=50,
    ).stdout
    assert encode.raster(picture) == theirs


def test_what_is_imported() -> None:
    """The package without pictures; the driver without python-escpos's profiles."""
    script = """
import sys
import printer, printer.escpos, printer.status, printer.decode, printer.layout
assert not {"PIL", "escpos", "barcode", "qrcode"} & set(sys.modules), sorted(sys.modules)
from printer import encode, layout
from printer.label import Label
sheet = layout.Sheet.of(203, 464)
encode.raster(layout.draw(Label("a", "", "", "", "2100104004824", "", "", ""), sheet))
assert not {"escpos.printer", "escpos.capabilities", "qrcode", "yaml"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=50)


@pytest.mark.parametrize("vector", IEEE1284, ids=name_of)
def test_identities(vector: dict) -> None:
    said = decode_ieee1284(vector)
    assert {key: said.get(key) for key in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize(
    ("language", "class_"),
    [
        ("ZPL II", "label"), ("EZPL", "label"), ("TSPL2", "label"), ("EPL2", "label"),
        ("ESCLABEL", "label"), ("esc/pos", "receipt"), ("STAR", "receipt"), ("PCL", "unknown"),
    ],
)  # fmt: skip
def test_the_class_is_told_by_the_language(language: str, class_: str) -> None:
    assert decode_ieee1284({"input": f"MFG:x;CMD:{language};CLS:PRINTER;"})["class"] == class_


def test_identity_as_the_kernel_gives_it() -> None:
    text = b"MFG:EPSON;CMD:ESC/POS , TSPL;MDL:TM-T20;SN:X1;CLS:PRINTER;"
    length = (len(text) + 2).to_bytes(2, "big")
    said = decode_ieee1284({"hex": (length + text).hex()})
    assert said["manufacturer"] == "EPSON"
    assert said["languages"] == ["ESC/POS", "TSPL"]
    assert said["class"] == "label"
    assert said["serial"] == "X1"
    assert decode_ieee1284({"input": (length + text).decode()}) == said
    assert decode_ieee1284({"hex": ""})["class"] == "unknown"
    assert decode_ieee1284({"input": "rubbish"})["manufacturer"] is None
