"""Every message that crosses the broker, as a model. `docs/schemas` is generated from here.

The one rule: unknown keys are ignored and unknown kinds of fact are kept, so that a station and a
bridge of different ages understand each other; an unknown word costs as little as can be. Money is
integer cents, mass integer grams, time UTC; no message carries a badge number, and a name only
where a screen must show it (first name).
"""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from mqtt.topics import NAME


def iso_ms(at: datetime) -> str:
    """UTC with milliseconds and a Z: ``2026-11-21T17:13:22.041Z``."""
    at = at.astimezone(UTC)  # a time that came with another offset must not get a Z unchanged
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


Time = Annotated[AwareDatetime, PlainSerializer(iso_ms, return_type=str)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
BadgeHash = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
ShardName = Annotated[str, Field(pattern="^[0-9a-f]{2}$")]
Clock = Literal["synced", "holdover", "unsynced"]
Verdict = Literal["ok", "warn", "stop"]


class Open:
    """Marks a `Literal` that newer versions may add to: its words are those that are written, and
    any other text is read as it stands.
    """

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        known = handler(source)
        return core_schema.union_schema([known, core_schema.str_schema()], mode="left_to_right")


def _known_clock(word: object) -> object:
    """The most cautious word in place of one that this version does not know."""
    return word if not isinstance(word, str) or word in get_args(Clock) else "unsynced"


def _text(value: object) -> str:
    """A driver's value, which may be of any type, as text that can be sent."""
    return str(value).encode(errors="replace").decode()


Text = Annotated[str, BeforeValidator(_text)]


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


# --- facts: station → bridge ---------------------------------------------------------------


class Who(Message):
    """Whom the station's directory knew behind a badge. `id` is the Odoo record's."""

    kind: Literal["member", "employee"]
    id: int


class BadgeData(Message):
    """A badge was shown at the entrance."""

    device: Name
    badge: BadgeHash
    who: Who | None = Field(description="null: the station did not know this badge")
    shown: Annotated[Literal["ok", "warn", "stop", "unknown", "no_directory"], Open()] = Field(
        description="the verdict that the screen showed; newer versions may have other words"
    )
    directory_as_of: Time | None = None


class LabelData(Message):
    """A label was asked for (`print`), or one asked for before did not come out (`void`)."""

    action: Annotated[Literal["print", "reprint", "void"], Open()] = Field(
        description="newer versions may have other words"
    )
    label: str = Field(description="the label's own id, the same in `print`, `reprint` and `void`")
    device: Name
    scale: Name
    product: int
    barcode: str
    net_g: int
    tare_g: int
    price_cents_per_kg: int
    price_cents: int | None = Field(description="null in mode `indicative` where none is shown")
    mode: Annotated[Literal["scale-prices", "certified-peripheral", "indicative"], Open()] = Field(
        description="newer versions may have other words"
    )
    why: str = ""


class Consent(Message):
    at: Time
    text: str = Field(description="catalogue key and version of the sentence that was accepted")
    language: str


class PhotoData(Message):
    """A member kept their portrait. The JPEG travels on the topic `blob/{id of this fact}`."""

    device: Name
    who: Who
    sha256: Digest
    size: int
    consent: Consent


class ClockData(Message):
    """The clock of this boot became right: at `up` ms of uptime it was `at`."""

    boot: str
    up: int
    at: Time


class DamagedData(Message):
    """The fact of this number cannot be read any more: the station's disk has lost it."""

    kind: str = Field(default="", description='what it was, as far as that can be read, else ""')


FACT_KINDS: dict[str, type[Message]] = {
    "badge": BadgeData,
    "label": LabelData,
    "photo": PhotoData,
    "clock": ClockData,
    "damaged": DamagedData,
}


class Envelope(Message):
    """What every fact travels in. Within an epoch `seq` has no gaps; `(epoch, seq)` and the bytes
    under it never change.
    """

    v: Literal[1] = 1
    id: str = Field(description="UUIDv7")
    epoch: str = Field(description="random, new with the first fact after each start")
    seq: int = Field(ge=1)
    at: Time
    clock: Annotated[Clock, BeforeValidator(_known_clock)] = Field(
        description="a word that the reader does not know is read as `unsynced`"
    )
    boot: str
    up: int = Field(description="milliseconds since that boot, monotonic")
    kind: str
    data: dict[str, Any]


# --- bridge → station ----------------------------------------------------------------------


class Parked(Message):
    """A fact that Odoo refused for good. `why` is a short sentence without personal data."""

    seq: int
    id: str
    why: str


class EpochAck(Message):
    """What the bridge has of one epoch, cumulative: everything up to `stored`; Odoo has everything
    up to `done` but for what is in `parked`.
    """

    epoch: str
    stored: int = 0
    done: int = 0
    parked: tuple[Parked, ...] = Field(
        default=(), description="stays listed until Odoo has it or a person drops it"
    )
    listed_from: int = Field(default=1, description="`parked` is complete from this number on")


class Ack(Message):
    """Every epoch of a station that is not settled, as far as the bridge has heard of it."""

    epochs: tuple[EpochAck, ...] = ()


class Entry(Message):
    """One badge in the directory: nothing but what the screen needs."""

    badge: BadgeHash
    who: Who
    first_name: str
    verdict: Verdict
    next_shift: Time | None = None
    language: str | None = None


class DirectoryHead(Message):
    """What a station must hold: the digest of each of the 256 shards that has entries."""

    as_of: Time = Field(description="when Odoo last gave the whole truth")
    count: int
    shards: dict[str, str] = Field(description="first two hex digits of the badge → shard digest")


class DirectoryShard(Message):
    """All badges whose hashes begin with the same two digits, as a bridge writes them."""

    shard: ShardName
    entries: tuple[Entry, ...]


class ReceivedShard(Message):
    """A `DirectoryShard` as a station reads it: each entry as it came, so that one which this
    version does not understand costs that entry and not its neighbours.
    """

    shard: ShardName
    entries: tuple[dict[str, Any], ...]


class Product(Message):
    """A product sold by weight."""

    id: int
    name: str
    number: str = Field(description='what is written on the shelf, "" for none')
    price_cents_per_kg: int
    barcode: str = Field(description="13 digits with the value digits at zero")
    category: str = ""
    tare_g: int = 0
    details: str = Field(default="", description="origin, category, labels; as the shop wrote it")


def _readable_products(products: object) -> object:
    """Without those that this version does not understand, unless it understands none of them."""
    if not isinstance(products, list):
        return products
    readable = []
    for product in products:
        with suppress(ValidationError):
            readable.append(Product.model_validate(product))
    return readable or products


class Rule(Message):
    """One rule of the till's barcode nomenclature, in Odoo's words."""

    sequence: int
    type: str
    encoding: str
    pattern: str


class Catalogue(Message):
    """What a scale sells. A product that the reader does not understand is left out; a rule that it
    does not understand makes the whole unusable, because every barcode depends on all rules.
    """

    as_of: Time
    digest: str
    products: Annotated[tuple[Product, ...], BeforeValidator(_readable_products)]
    rules: tuple[Rule, ...]
    upc_ean_conv: Literal["none", "ean2upc", "upc2ean", "always"] = "always"


# --- readings and state: station → anyone --------------------------------------------------


class EpochKept(Message):
    """An epoch of which a station still keeps facts: `first` is the lowest number that is there,
    `last` the highest ever given. Of what is below `first` nothing is left.
    """

    epoch: str
    first: int
    last: int
    done: int = Field(
        default=0, description="Odoo had everything up to here, but for `parked`, said the bridge"
    )
    parked: tuple[int, ...] = ()


class StationState(Message):
    """Retained; the last will says `online: false` with the birth it belongs to."""

    online: bool
    birth: int = Field(description="grows with each connection: ignore a will of an older birth")
    build: str = ""
    since: Time | None = None
    epochs: tuple[EpochKept, ...] = Field(
        default=(), description="oldest first; the bridge asks for what it lacks of them"
    )


class DeviceHealth(Message):
    state: Literal["starting", "up", "degraded", "absent", "failing", "refused"]
    key: Text = ""
    params: dict[Text, Text] = {}
    since: Time


class WeightValue(Message):
    """A scale's reading. `value` null: the scale gives no weight now."""

    at: Time
    value: str | None = Field(description="the scale's own decimals, never a float")
    unit: str | None
    stable: bool | None = None
    net: bool | None = None
    over: bool | None = None
    under: bool | None = None


# --- commands and questions ----------------------------------------------------------------


class Ask(Message):
    """`shards` empty: everything. The bridge publishes again what is asked for."""

    shards: tuple[str, ...] = ()


class Command(Message):
    """A command's body. On MQTT 3.1.1 `reply_to` and `id` stand for the MQTT 5 properties."""

    reply_to: str | None = None
    id: str | None = None
    args: dict[str, Any] = {}


class Answer(Message):
    id: str | None = None
    ok: bool
    key: str = ""
    result: dict[str, Any] = {}
