"""What is plugged in, as configuration that loads."""

from pathlib import Path

import pytest

from edged.commands.find import find
from edged.config import load


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for path in (
        "dev/input/by-id/usb-Sycreader_RFID_USB_Reader_08FF-event-kbd",
        "dev/input/by-id/usb-Sycreader_RFID_USB_Reader_08FF-event-mouse",
        "dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0",
        "dev/usb/lp0",
        "dev/usb/hiddev0",
        "dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_1234-video-index0",
        "dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_1234-video-index1",
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    identity = root / "sys/class/usbmisc/lp0/device/ieee1284_id"
    identity.parent.mkdir(parents=True)
    identity.write_text("MFG:EPSON;CMD:ESC/POS;MDL:TM-T20III;CLS:PRINTER;\n")
    return root


def test_each_thing_is_found_once(machine: Path) -> None:
    assert [(one.family, one.settings["driver"]) for one in find(machine)] == [
        ("badge_reader", "keyboard-wedge"),
        ("scale", "mettler-8217"),
        ("printer", "escpos"),
        ("camera", "v4l2"),
    ]


def test_what_it_proposes_is_a_station_s_file(machine: Path, tmp_path: Path) -> None:
    tables = "\n".join(one.toml(f"d{n}") for n, one in enumerate(find(machine)))
    file = tmp_path / "station.toml"
    file.write_text(f'[station]\nsite = "a"\nname = "b"\n{tables}\n')
    assert len(load(file).devices) == 4
    assert "# EPSON TM-T20III" in tables
    assert "# FTDI FT232R USB UART A50285BI: a serial line" in tables


def test_a_printer_is_proposed_by_the_name_that_stays(machine: Path) -> None:
    (machine / "dev/edged").mkdir()
    (machine / "dev/edged/printer-X5ZQ").symlink_to(machine / "dev/usb/lp0")
    ports = [one.settings.get("port") for one in find(machine) if one.family == "printer"]
    assert ports == ["/dev/edged/printer-X5ZQ"]


def test_an_empty_machine(tmp_path: Path) -> None:
    assert list(find(tmp_path)) == []
