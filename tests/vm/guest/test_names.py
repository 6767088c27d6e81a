"""Names of equal devices, by the real udev: a replug never makes one the other's."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.kernel import Gadget, modprobe, usb_printer, usb_serial, wait_for

from edged.commands.find import find

IDENTITY = "MFG:Beeprt;MDL:BY-480BT;CMD:ESC/POS;"
NAMES = Path("/dev/edged")


@contextmanager
def printers(*serials: str) -> Iterator[list[Gadget]]:
    modprobe("usblp")
    with ExitStack() as stack:
        yield [stack.enter_context(usb_printer(IDENTITY, serial)) for serial in serials]


def links(count: int) -> dict[str, str]:
    """The names of `count` printers and where they lead, once udev has done its work."""

    def settled() -> dict[str, str] | None:
        there = NAMES.iterdir() if NAMES.is_dir() else ()
        found = {path.name: str(path.resolve()) for path in there}
        sockets = [name for name in found if name.startswith("printer-at-")]
        nodes = list(Path("/dev/usb").glob("lp*"))
        return found if len(sockets) == len(nodes) == count else None

    return wait_for(settled)


def proposed(family: str) -> list[str]:
    return [one.settings["port"] for one in find() if one.family == family]


def test_a_printer_with_a_number_of_its_own_has_it_in_its_name() -> None:
    with printers("A1", "A2"):
        wait_for(lambda: {"printer-A1", "printer-A2"} <= links(2).keys())
        assert sorted(proposed("printer")) == ["/dev/edged/printer-A1", "/dev/edged/printer-A2"]


def test_two_printers_with_one_number_keep_to_their_sockets_over_a_replug() -> None:
    with printers("ABC123") as (first,):
        wait_for(lambda: "printer-ABC123" in links(1))
        with printers("ABC123") as (second,):
            wait_for(lambda: "printer-ABC123" not in links(2))
            assert all(name.startswith("/dev/edged/printer-at-") for name in proposed("printer"))
            before = {name: _socket(name) for name in links(2)}
            first.unplug()
            second.unplug()
            wait_for(lambda: not list(Path("/dev/usb").glob("lp*")))
            second.plug()  # the other way round, so that lp0 is the other printer
            links(1)
            first.plug()
            wait_for(lambda: "printer-ABC123" not in links(2))
            assert {name: _socket(name) for name in links(2)} == before


def test_two_adapters_with_one_number_are_proposed_by_their_sockets() -> None:
    with usb_serial("SAME"), usb_serial("SAME"):
        wait_for(lambda: len(list(Path("/dev/serial/by-path").glob("*dummy_hcd*"))) >= 2)
        wait_for(lambda: len(proposed("scale")) == 2)
        assert all(port.startswith("/dev/serial/by-path/") for port in proposed("scale"))


def _socket(name: str) -> str:
    """Which USB controller the device behind a name hangs on: each gadget has its own."""
    node = (NAMES / name).resolve()
    place = Path(f"/sys/class/usbmisc/{node.name}/device").resolve()
    return next(part for part in place.parts if part.startswith("dummy_hcd"))
