"""The names that our udev rules give, as udev gives them, to printers below a Raspberry Pi 4's hub.

Two equal Beeprt BY-480BT (OpenPrinting/system-config-printer#261) and what makers do with serial
numbers. The devices are umockdev's; /run/udev and /dev/edged are the test's own.
"""

import re
import subprocess
from pathlib import Path

import pytest
from support.root import needs_root

pytestmark = needs_root

RULES = Path(__file__).parents[2] / "systemd/60-edged.rules"
CONTROLLER = "/devices/platform/scb/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0"
HUB = f"{CONTROLLER}/usb1/1-1"
PORTS = (3, 4)
SOCKETS = [f"printer-at-platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.{n}:1.0" for n in PORTS]
UDEV = """
set -e
mount --make-rprivate /
mkdir -p /run/udev /dev/edged
mount -t tmpfs tmpfs /run/udev
mount -t tmpfs tmpfs /dev/edged
mkdir /run/udev/rules.d /run/udev/data
cp "$1" /run/udev/rules.d/
cd "$2"
cp database /run/udev/data/c180:10
umockdev-run --device machine.umockdev -- udevadm test --action="$3" "/sys$4"
"""


def machine(*serials: str) -> str:
    """A Pi 4's USB with one printer for each serial number ("": it has none)."""
    parts = [
        _part("/devices/platform/scb/fd500000.pcie", "SUBSYSTEM=platform"),
        _part(CONTROLLER, "SUBSYSTEM=pci"),
        _part(
            f"{CONTROLLER}/usb1",
            "SUBSYSTEM=usb", "DEVTYPE=usb_device",
            idVendor="1d6b", idProduct="0002", serial="0000:01:00.0",
        ),
        _part(HUB, "SUBSYSTEM=usb", "DEVTYPE=usb_device", idVendor="2109", idProduct="3431"),
    ]  # fmt: skip
    for number, (port, serial) in enumerate(zip(PORTS, serials, strict=False)):
        device = f"{HUB}/1-1.{port}"
        own = {"serial": serial} if serial else {}
        parts += [
            _part(
                device, "SUBSYSTEM=usb", "DEVTYPE=usb_device",
                idVendor="09c6", idProduct="0426", **own,
            ),
            _part(
                f"{device}/1-1.{port}:1.0", "SUBSYSTEM=usb", "DEVTYPE=usb_interface",
                bInterfaceClass="07",
            ),
            _part(
                printer(number), "SUBSYSTEM=usbmisc", f"DEVNAME=/dev/usb/lp{number}",
                "MAJOR=180", f"MINOR={number}", node=f"usb/lp{number}", dev=f"180:{number}",
            ),
        ]  # fmt: skip
    return "\n".join(parts)


def printer(number: int) -> str:
    port = PORTS[number]
    return f"{HUB}/1-1.{port}/1-1.{port}:1.0/usbmisc/lp{number}"


def _part(path: str, *properties: str, node: str = "", **attributes: str) -> str:
    lines = [f"P: {path}"] + ([f"N: {node}"] if node else [])
    lines += [f"E: {one}" for one in properties]
    lines += [f"A: {name}={value}\\n" for name, value in attributes.items()]
    return "\n".join(lines) + "\n"


def udev(
    folder: Path, number: int, *serials: str, known: str = "", action: str = "add"
) -> tuple[set[str], str]:
    """The names below /dev/edged that printer `number` gets, and all that udev says. `known` is
    what udev's database has of another printer.
    """
    (folder / "machine.umockdev").write_text(machine(*serials))
    (folder / "database").write_text(known)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", UDEV, "udev", RULES, folder, action, printer(number)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    said = done.stdout + done.stderr
    links = re.search(r"^DEVLINKS=(.*)$", said, re.MULTILINE)
    return {name.removeprefix("/dev/edged/") for name in (links[1].split() if links else [])}, said


def test_two_without_a_serial_number_are_named_after_their_sockets(tmp_path: Path) -> None:
    assert [udev(tmp_path, number, "", "")[0] for number in (0, 1)] == [{one} for one in SOCKETS]


def test_a_serial_number_of_its_own_names_a_printer_too(tmp_path: Path) -> None:
    names = [udev(tmp_path, number, "X5ZQ", "X5ZR")[0] for number in (0, 1)]
    assert names == [{SOCKETS[0], "printer-X5ZQ"}, {SOCKETS[1], "printer-X5ZR"}]


@pytest.mark.parametrize("action", ["add", "change"])
def test_a_serial_number_that_another_has_as_well_names_neither(
    tmp_path: Path, action: str
) -> None:
    other = "S:edged/printer-ABC123\nE:EDGED_NAME=printer-ABC123\n"
    names, said = udev(tmp_path, 1, "ABC123", "ABC123", known=other, action=action)
    assert names == {SOCKETS[1]}
    # Who comes has all others of the name looked at again. Who is looked at again asks nobody, or
    # they would go on for ever.
    asked = "udevadm trigger --action=change --property-match=EDGED_NAME=printer-ABC123" in said
    assert asked == (action == "add")


def test_a_longer_serial_number_is_another_one(tmp_path: Path) -> None:
    other = "E:EDGED_NAME=printer-ABC1234\n"
    names, _ = udev(tmp_path, 0, "ABC123", known=other)
    assert names == {SOCKETS[0], "printer-ABC123"}


def test_what_a_printer_calls_its_number_is_no_command(tmp_path: Path) -> None:
    names, _ = udev(tmp_path, 0, f"$(touch {tmp_path}/ran)`touch {tmp_path}/ran`';x")
    assert SOCKETS[0] in names
    assert not (tmp_path / "ran").exists()
