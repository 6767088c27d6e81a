"""A station for the screens' tests: the real store on a real disk, devices moved by hand."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from badge_reader import BadgeRead, BadgeReader
from camera import Camera, Frame
from devices import Absent, Device, Health, Lost, State, Value
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.settings import EntranceSettings, PhotoSettings, ScaleSettings
from kiosk.station import Station
from kiosk.weighing import Weighing
from kiosk.weighing_page import WeighingPage
from mqtt.identity import badge_hash
from mqtt.link import LinkState
from mqtt.messages import Catalogue, Entry, Product, Rule, Who
from printer import Label, NotPrinted, Printer, Still, Withdrawn
from scale import Scale, Weight
from store import Store

KEY = b"0123456789abcdef0123456789abcdef"
CAMILLE = "0420001234004"
SACHA = "0420001234011"
DOMINIQUE = "0421000123009"
STRANGER = "2200145000004"


class HandReader(BadgeReader):
    async def run(self) -> None:
        raise Absent("device.unplugged")

    async def plugged(self) -> None: ...

    def show(self, text: str) -> None:
        self.badges.publish(BadgeRead(text))


class HandScale(Scale):
    """A scale that tares and zeroes; `put` loads it with gross grams."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.gross = 0
        self.held = 0
        self.refuses: str = ""

    async def run(self) -> None:
        raise Absent("device.unplugged")

    async def plugged(self) -> None: ...

    def put(self, grams: int) -> None:
        self.gross = grams
        net = grams - self.held
        value = None if net < 0 else Decimal(net) / 1000
        self.reading.set(
            Weight(value, "kg", stable=True, net=self.held > 0, over=False, under=net < 0)
        )

    def move(self) -> None:
        self.reading.set(Weight(None, "kg", stable=False, over=False, under=False))

    def too_heavy(self) -> None:
        self.reading.set(Weight(None, "kg", stable=True, over=True, under=False))

    async def tare(self) -> None:
        await self._obey(self.gross)

    async def clear_tare(self) -> None:
        await self._obey(0)

    async def zero(self) -> None:
        self.put(0)

    async def confirmed(self, weight: Weight) -> bool:
        """Hands do not answer again and again: what they put last is what they say."""
        return self.reading.get() == weight

    async def _obey(self, held: int) -> None:
        if self.refuses:
            raise Lost(self.refuses)
        self.reading.set(None)
        await asyncio.sleep(0)
        self.held = held
        self.put(self.gross)


class HandPrinter(Printer):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.labels: list[Label] = []
        self.failure: NotPrinted | Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def run(self) -> None:
        raise Absent("device.unplugged")

    async def plugged(self) -> None: ...

    async def print(self, label: Label, still: Still | None = None) -> None:
        if still is not None and not await still():
            raise Withdrawn
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.labels.append(label)

    def preview(self, label: Label) -> bytes:
        from PIL import Image, ImageDraw

        picture = Image.new("1", (464, 320), 1)
        ImageDraw.Draw(picture).text((20, 20), f"{label.title} {label.price}", font_size=30)
        return _saved(picture, "PNG")


class HandCamera(Camera):
    """Flows by itself while watched, as a camera does."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.broken = False
        self.stills = 0
        self.picture = jpeg(640, 480)

    async def run(self) -> None:
        async for watchers in self.watchers.changes():
            while watchers and self.watchers.get():
                self.frames.set(Frame(self.picture, time.monotonic()))
                await asyncio.sleep(0.05)

    async def plugged(self) -> None: ...

    async def still(self) -> bytes:
        if self.broken:
            raise Lost("device.silent")
        self.stills += 1
        return self.picture


def jpeg(width: int, height: int) -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (width, height), "#6b8f9c")
    draw = ImageDraw.Draw(picture)
    middle = width // 2
    draw.ellipse((middle - 80, 80, middle + 80, 280), fill="#e3b79a")
    draw.ellipse((middle - 150, 300, middle + 150, 700), fill="#7a4b6b")
    return _saved(picture, "JPEG")


def _saved(picture: object, kind: str) -> bytes:
    from PIL import Image

    assert isinstance(picture, Image.Image)
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


RULES = (
    Rule(sequence=10, type="weight", encoding="ean13", pattern="21.....{NNDDD}"),
    Rule(sequence=20, type="product", encoding="any", pattern=".*"),
)


def product(number: int, name: str, cents: int, category: str, **more: object) -> Product:
    from devices.ean import ean13

    return Product.model_validate(
        {
            "id": number,
            "name": name,
            "number": str(number),
            "price_cents_per_kg": cents,
            "barcode": ean13(f"21{number:05d}00000"),
            "category": category,
            **more,
        }
    )


PRODUCTS = (
    product(104, "Pommes Gala", 295, "Fruits", details="France · cat. I · bio FR-BIO-01"),
    product(212, "Carottes", 180, "Légumes"),
    product(118, "Bananes", 199, "Fruits"),
    product(530, "Lentilles vertes", 420, "Vrac sec", tare_g=6),
    product(220, "Oignons", 160, "Légumes"),
    product(231, "Tomates", 340, "Légumes"),
    product(512, "Riz complet", 310, "Vrac sec"),
    product(547, "Amandes", 1490, "Vrac sec"),
    product(122, "Citrons", 360, "Fruits"),
    product(240, "Courgettes", 270, "Légumes"),
    product(505, "Pâtes", 240, "Vrac sec"),
    product(533, "Pois chiches", 390, "Vrac sec"),
    product(541, "Abricots secs moelleux dénoyautés", 1190, "Vrac sec"),
)


def catalogue(*, age: timedelta = timedelta(), **more: object) -> Catalogue:
    return Catalogue(
        as_of=datetime.now(UTC) - age,
        digest="0" * 64,
        products=more.get("products", PRODUCTS),
        rules=more.get("rules", RULES),
    )


def entry(number: str, name: str, verdict: str, **more: object) -> Entry:
    return Entry.model_validate(
        {
            "badge": badge_hash(KEY, number),
            "who": Who(kind="member", id=int(number[-5:])),
            "first_name": name,
            "verdict": verdict,
            **more,
        }
    )


MEMBERS = (
    entry(CAMILLE, "Camille", "ok", next_shift=datetime(2026, 11, 26, 17, 30, tzinfo=UTC)),
    entry(SACHA, "Sacha", "warn", next_shift=datetime(2026, 12, 12, 8, 0, tzinfo=UTC)),
    entry(DOMINIQUE, "Dominique", "stop", language="es"),
)


@dataclass
class Bench:
    """Everything that a test of the screens moves or looks at."""

    folder: Path
    store: Store
    reader: HandReader = field(default_factory=lambda: HandReader("porte"))
    scale: HandScale = field(default_factory=lambda: HandScale("balance"))
    printer: HandPrinter = field(default_factory=lambda: HandPrinter("etiquettes"))
    camera: HandCamera = field(default_factory=lambda: HandCamera("oeil"))
    clock: str = "synced"
    link: Value[LinkState] = field(
        default_factory=lambda: Value(
            LinkState(up=True, key="link.up", params={"host": "mqtt.example", "detail": ""})
        )
    )

    def __post_init__(self) -> None:
        devices: tuple[Device, ...] = (self.reader, self.scale, self.printer, self.camera)
        for device in devices:
            device.is_up()
        self.station = Station(
            site="coop",
            name="b1",
            coop="La Coop",
            language="fr",
            timezone=ZoneInfo("Europe/Paris"),
            build="0.4.0",
            store=self.store,
            folder=self.folder,
            devices={device.name: device for device in devices},
            badge_key=KEY,
            clock=lambda: self.clock,
            link=self.link,
        )

    def unplug(self, device: Device) -> None:
        device.idle()
        device.forget()
        device.health.set(Health(State.ABSENT, "device.unplugged"))

    def plug(self, device: Device) -> None:
        device.is_up()

    def go_offline(self) -> None:
        self.link.set(LinkState(up=False, key="link.down", params={"host": "h", "detail": "d"}))

    async def facts(self, kind: str) -> list[dict[str, object]]:
        import json

        rows = await self.store.outbox.waiting(0, 500)
        return [json.loads(row.body)["data"] for row in rows if row.kind == kind]

    def entrance(self, **more: object) -> Entrance:
        return Entrance(self.station, EntranceSettings(reader="porte", **more))

    def weighing(self, **more: object) -> Weighing:
        settings = ScaleSettings(scale="balance", printer="etiquettes", **more)
        return Weighing(self.station, settings)

    def booth(self) -> Booth:
        return Booth(self.station, PhotoSettings(reader="porte", camera="oeil"))


@asynccontextmanager
async def bench(folder: Path) -> AsyncIterator[Bench]:
    store = await Store.open(folder / "store", clock=lambda: made.clock)
    made = Bench(folder, store)
    try:
        yield made
    finally:
        await store.close()


async def fill(made: Bench, *, age: timedelta = timedelta()) -> None:
    await made.store.directory.replace(MEMBERS, datetime.now(UTC) - age)
    await made.store.catalogue.replace(catalogue(age=age))


@asynccontextmanager
async def running(*screens: object) -> AsyncIterator[None]:
    """Run state machines for the length of a block; a bug in one fails the test."""
    tasks = [asyncio.create_task(screen.run()) for screen in screens]
    await asyncio.sleep(0)
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(value: "Value[object]", condition: object, *, within: float = 10) -> object:
    """The first page for which `condition` holds."""
    async with asyncio.timeout(within):
        async for page in value.changes():
            if condition(page):
                return page
    raise AssertionError


async def settle() -> None:
    """Let what is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


# --- the scale's screen ----------------------------------------------------------------------


async def state(screen: Weighing) -> str:
    await settle()
    return screen.page.get().state


async def come(screen: Weighing, state: str) -> WeighingPage:
    page = await until(screen.page, lambda page: page.state == state)
    assert isinstance(page, WeighingPage)
    return page


async def ready(screen: Weighing, made: Bench, grams: int = 482) -> WeighingPage:
    screen.tap("pick", "104")
    made.scale.put(grams)
    return await come(screen, "ready")
