"""The screens over the real drivers and their simulators: a pty at 9600 baud, TCP, plugs pulled."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.screens import CAMILLE, Bench, bench, fill, running, until

from badge_reader.scanner import ScannerSettings, SerialScanner
from badge_reader.simulate import ScannerSimulator
from camera.mjpeg import MjpegCamera, MjpegSettings
from camera.simulate import MjpegSimulator
from devices.keep import keep_all
from devices.simulate import PtyHost, TcpHost
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.settings import EntranceSettings, PhotoSettings, ScaleSettings
from kiosk.weighing import Weighing
from printer.escpos import EscposPrinter, EscposSettings
from printer.simulate import EscposSimulator
from scale.simulate import Toledo8217Simulator
from scale.toledo import Toledo8217, ToledoSettings


class Unhurried(EscposSimulator):
    """A printer behind a slow print server: all that it says comes later."""

    delay = 0.0

    def attach(self, send: Callable[[bytes], None]) -> None:
        super().attach(send)
        self.send = send

    def feed(self, data: bytes) -> bytes:
        answer = super().feed(data)
        if not self.delay:
            return answer
        asyncio.get_running_loop().call_later(self.delay, self.send, answer)
        return b""


class Shop:
    """One station with a real driver of each family, and the world they look at."""

    def __init__(self, made: Bench, folder: Path) -> None:
        self.made = made
        self.scale = Toledo8217Simulator()
        self.scale_plug = PtyHost(folder / "balance", self.scale, baud=9600)
        self.reader = ScannerSimulator()
        self.reader_plug = PtyHost(folder / "lecteur", self.reader)
        self.printer = Unhurried()
        self.printer_plug = TcpHost(self.printer)
        self.camera = MjpegSimulator(fps=25)

    async def open(self, stack: AsyncExitStack) -> None:
        for host in (self.scale_plug, self.reader_plug, self.printer_plug, self.camera):
            await stack.enter_async_context(host)
        port = f"socket://127.0.0.1:{self.printer_plug.port}"
        devices = (
            SerialScanner("porte", ScannerSettings(port=str(self.reader_plug.path))),
            Toledo8217("balance", ToledoSettings(port=str(self.scale_plug.path))),
            EscposPrinter("etiquettes", EscposSettings(port=port)),
            MjpegCamera("oeil", MjpegSettings(url=self.camera.url)),
        )
        station = dataclasses.replace(
            self.made.station, devices={device.name: device for device in devices}
        )
        self.entrance = Entrance(station, EntranceSettings(reader="porte"))
        self.weighing = Weighing(station, ScaleSettings(scale="balance", printer="etiquettes"))
        self.booth = Booth(station, PhotoSettings(reader="porte", camera="oeil"))
        self.booth.framing_s = self.booth.second_s = 0.1
        await stack.enter_async_context(running(self.entrance, self.weighing, self.booth))
        task = asyncio.create_task(keep_all(devices))
        stack.callback(task.cancel)
        async with asyncio.timeout(10):
            for device in devices:
                async for health in device.health.changes():
                    if health.usable:
                        break


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with bench(tmp_path) as made, AsyncExitStack() as stack:
        await fill(made)
        shop = Shop(made, tmp_path)
        await shop.open(stack)
        yield shop


async def state(screen: Entrance | Weighing | Booth, state: str) -> None:
    await until(screen.page, lambda page: page.state == state, within=20)


async def test_a_jar_is_weighed_and_labelled(shop: Shop) -> None:
    weighing = shop.weighing
    await state(weighing, "empty")
    shop.scale.load = 126
    await state(weighing, "pick")
    weighing.tap("tare")
    await state(weighing, "tare_done")
    shop.scale.load = 0
    await until(weighing.page, lambda page: page.grams is None)
    weighing.tap("pick", "530")
    shop.scale.moving, shop.scale.load = True, 626
    await state(weighing, "moving")
    shop.scale.moving = False
    await state(weighing, "ready")
    page = weighing.page.get()
    assert (page.grams, page.tare_g, page.cents) == (500, 126, 210)
    for _ in range(10):
        weighing.tap("print")
    await state(weighing, "take")
    assert shop.printer.count == 1
    shop.scale.load = 0
    await state(weighing, "empty")
    assert shop.scale.tare == 0
    (fact,) = await shop.made.facts("label")
    assert (fact["net_g"], fact["tare_g"]) == (500, 126)


@pytest.mark.parametrize("instead", [0, 20, 900, "moving", "silent"])
async def test_a_load_taken_away_while_the_printer_is_asked_has_no_label(
    shop: Shop, instead: int | str
) -> None:
    shop.scale.load = 482
    await state(shop.weighing, "pick")
    shop.weighing.tap("pick", "104")
    await state(shop.weighing, "ready")
    shop.printer.delay = 0.3
    shop.weighing.tap("print")
    await state(shop.weighing, "printing")
    if isinstance(instead, int):
        shop.scale.load = instead
    else:
        setattr(shop.scale, instead, True)
    await until(shop.weighing.page, lambda page: page.state != "printing", within=20)
    assert shop.printer.count == 0
    assert [fact["action"] for fact in await shop.made.facts("label")] == ["print", "void"]


async def test_the_scale_is_unplugged_and_comes_back(shop: Shop) -> None:
    shop.scale.load = 482
    await state(shop.weighing, "pick")
    shop.scale_plug.unplug()
    await state(shop.weighing, "scale_absent")
    assert shop.weighing.page.get().grams is None
    shop.scale_plug.plug()
    await state(shop.weighing, "pick")


async def test_the_roll_ends_in_the_middle_of_a_label(shop: Shop) -> None:
    shop.scale.load = 482
    await state(shop.weighing, "pick")
    shop.weighing.tap("pick", "104")
    await state(shop.weighing, "ready")
    shop.printer.paper_mm = 10
    shop.weighing.tap("print")
    await state(shop.weighing, "not_printed")
    facts = await shop.made.facts("label")
    assert [fact["action"] for fact in facts] == ["print", "void"]


async def test_a_badge_then_a_photo(shop: Shop) -> None:
    shop.reader.scan(CAMILLE)
    await state(shop.entrance, "ok")
    await state(shop.booth, "consent")
    assert shop.camera.viewers.get() == 0, "no frame before consent"
    shop.booth.tap("start")
    await state(shop.booth, "review")
    async with asyncio.timeout(10):
        async for viewers in shop.camera.viewers.changes():
            if viewers == 0:
                break
    shop.booth.tap("keep")
    await state(shop.booth, "kept")
    assert len(await shop.made.facts("photo")) == 1
    shop.reader_plug.unplug()
    await until(shop.entrance.page, lambda page: page.state == "reader_absent", within=20)
