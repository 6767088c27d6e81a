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


class Machine:
    """A /dev and a /sys with USB devices on them, named as Debian's udev rules and ours do."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def plug(
        self,
        device_class: str,
        node: str,
        socket: str,
        *,
        by_id: str = "",
        by_path: str = "",
        serial: str = "",
    ) -> None:
        """The device at `socket`; a link that is there already goes to the newer device."""
        usb = self.root / "sys/devices/usb1" / socket
        name = node.rpartition("/")[2]
        place = usb / "1.0" / device_class / name
        place.mkdir(parents=True)
        (usb / "idVendor").write_text("1a86\n")
        (usb / "idProduct").write_text("7523\n")
        if serial:
            (usb / "serial").write_text(f"{serial}\n")
        (usb.parent / "idVendor").write_text("1d6b\n")
        (usb.parent / "serial").write_text("0000:01:00.0\n")  # the controller's
        entry = self.root / "sys/class" / device_class / name
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.mkdir()
        (entry / "device").symlink_to(usb / "1.0")
        file = self.root / node
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        for link in filter(None, (by_id, by_path)):
            path = self.root / link
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(file)

    def ports(self) -> list[str]:
        return [one.settings["port"] for one in find(self.root)]


KINDS = {
    "serial lines": ("tty", "dev/ttyUSB{}", "dev/serial/by-{}/{}-port0"),
    "keyboards": ("input", "dev/input/event{}", "dev/input/by-{}/{}-event-kbd"),
    "cameras": ("video4linux", "dev/video{}", "dev/v4l/by-{}/{}-video-index0"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("serial", ["", "ABC123"])
def test_two_that_would_share_a_name_are_proposed_by_their_sockets(
    tmp_path: Path, kind: str, serial: str
) -> None:
    machine = Machine(tmp_path)
    device_class, node, link = KINDS[kind]
    paths = [link.format("path", f"pci-0000:00:14.0-usb-0:{n}:1.0") for n in (1, 2)]
    for n, path in enumerate(paths):
        shared = link.format("id", f"usb-1a86_USB_{serial}")
        machine.plug(
            device_class, node.format(n), f"1-{n}", by_id=shared, by_path=path, serial=serial
        )
    assert machine.ports() == [f"/{path}" for path in paths]


def test_two_models_of_one_name_are_proposed_by_their_sockets(tmp_path: Path) -> None:
    """udev makes the name of what a device calls itself, and two models may do so alike."""
    machine = Machine(tmp_path)
    device_class, node, link = KINDS["serial lines"]
    paths = [link.format("path", f"pci-0000:00:14.0-usb-0:{n}:1.0") for n in (1, 2)]
    for n, path in enumerate(paths):
        shared = link.format("id", "usb-1a86_USB_Serial-if00-port0")
        machine.plug(device_class, node.format(n), f"1-{n}", by_id=shared, by_path=path, serial="")
        (tmp_path / f"sys/devices/usb1/1-{n}/idProduct").write_text(f"{7520 + n}\n")
    assert machine.ports() == [f"/{path}" for path in paths]


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_alone_or_has_a_number_of_its_own_is_proposed_by_id(
    tmp_path: Path, kind: str
) -> None:
    machine = Machine(tmp_path)
    device_class, node, link = KINDS[kind]
    own = [link.format("id", f"usb-1a86_USB{number}") for number in ("", "_A1", "_A2")]
    for n, name in enumerate(own):
        path = link.format("path", f"pci-0000:00:14.0-usb-0:{n}:1.0")
        serial = name.partition("_A")[2]
        machine.plug(
            device_class, node.format(n), f"1-{n}", by_id=name, by_path=path,
            serial=f"A{serial[:1]}" if serial else "",
        )  # fmt: skip
    assert machine.ports() == [f"/{name}" for name in own]


def test_of_two_printers_with_one_serial_number_none_is_proposed_by_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    sockets = [f"dev/edged/printer-at-pci-0000:00:14.0-usb-0:{n}:1.0" for n in (1, 2)]
    for n, socket in enumerate(sockets):
        machine.plug(
            "usbmisc", f"dev/usb/lp{n}", f"1-{n}",
            by_id="dev/edged/printer-ABC123", by_path=socket, serial="ABC123",
        )  # fmt: skip
    assert machine.ports() == [f"/{socket}" for socket in sockets]


def test_a_printer_without_a_number_is_not_proposed_by_its_controllers(tmp_path: Path) -> None:
    """As an earlier rule named it."""
    machine = Machine(tmp_path)
    machine.plug("usbmisc", "dev/usb/lp0", "1-1", by_id="dev/edged/printer-0000:01:00.0")
    assert machine.ports() == ["/dev/usb/lp0"]
    assert "sudo make service" in next(find(tmp_path)).note


def test_two_lines_of_one_adapter_keep_its_name(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    names = [f"dev/serial/by-id/usb-FTDI_Dual-if0{n}-port0" for n in (0, 1)]
    machine.plug("tty", "dev/ttyUSB0", "1-1", by_id=names[0])
    usb = tmp_path / "sys/devices/usb1/1-1"
    (tmp_path / "sys/class/tty/ttyUSB1").mkdir()
    (tmp_path / "sys/class/tty/ttyUSB1/device").symlink_to(usb / "1.0")
    (tmp_path / "dev/ttyUSB1").touch()
    (tmp_path / names[1]).symlink_to(tmp_path / "dev/ttyUSB1")
    assert machine.ports() == [f"/{name}" for name in names]


def test_the_machines_own_keyboard_is_no_reader(tmp_path: Path) -> None:
    link = tmp_path / "dev/input/by-path/platform-i8042-serio-0-event-kbd"
    link.parent.mkdir(parents=True)
    link.touch()
    assert list(find(tmp_path)) == []


def test_a_printer_is_proposed_by_the_name_that_stays(tmp_path: Path) -> None:
    plugged = Machine(tmp_path)
    plugged.plug(
        "usbmisc", "dev/usb/lp0", "1-1", serial="X5ZQ",
        by_id="dev/edged/printer-X5ZQ", by_path="dev/edged/printer-at-pci-0000:00:14.0-usb-0:1:1.0",
    )  # fmt: skip
    assert plugged.ports() == ["/dev/edged/printer-X5ZQ"]


def test_an_empty_machine(tmp_path: Path) -> None:
    assert list(find(tmp_path)) == []
