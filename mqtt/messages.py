"""Every message that crosses the broker, as a model. `docs/schemas` is generated from here.

The one rule: unknown keys are ignored and unknown kinds of fact are kept, so that a station and a
bridge of different ages understand each other. Money is integer cents, mass integer grams, time
UTC; no message carries a badge number, and a name only where a screen must show it (first name).
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from mqtt.topics import NAME


def iso_ms(at: datetime) -> str:
    """UTC with milliseconds and a Z: ``2026-11-21T17:13:22.041Z``."""
    at = at.astimezone(UTC)  # a time that came with another offset must not get a Z unchanged
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


Time = Annotated[AwareDatetime, PlainSerializer(iso_ms, return_type=str)]
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
BadgeHash = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Clock = Literal["synced", "holdover", "unsynced"]
Verdict = Literal["ok", "warn", "stop"]


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
    shown: Literal["ok", "warn", "stop", "unknown", "no_directory"] = Field(
        description="the verdict that the screen showed"
    )
    directory_as_of: Time | None = None


class LabelData(Message):
    """A label was asked for (`print`), or one asked for before did not come out (`void`)."""

    action: Literal["print", "reprint", "void"]
    label: str = Field(description="the label's own id, the same in `print`, `reprint` and `void`")
    device: Name
    scale: Name
    product: int
    barcode: str
    net_g: int
    tare_g: int
    price_cents_per_kg: int
    price_cents: int | None = Field(description="null in mode `indicative` where none is shown")
    mode: Literal["scale-prices", "certified-peripheral", "indicative"]
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


FACT_KINDS: dict[str, type[Message]] = {
    "badge": BadgeData,
    "label": LabelData,
    "photo": PhotoData,
    "clock": ClockData,
}


class Envelope(Message):
    """What every fact travels in. `(epoch, seq)` has no gaps; `id` alone decides duplicates."""

    v: Literal[1] = 1
    id: str = Field(description="UUIDv7")
    epoch: str = Field(description="random, made with the station's store")
    seq: int = Field(ge=1)
    at: Time
    clock: Clock
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


class Ack(Message):
    """Cumulative: the bridge has everything up to `stored`, Odoo everything up to `done`.

    Facts in `parked` count as settled: `done` moves past them.
    """

    epoch: str
    stored: int = 0
    done: int = 0
    parked: tuple[Parked, ...] = ()


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
    shard: Annotated[str, Field(pattern="^[0-9a-f]{2}$")]
    entries: tuple[Entry, ...]


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


class Rule(Message):
    """One rule of the till's barcode nomenclature, in Odoo's words."""

    sequence: int
    type: str
    encoding: str
    pattern: str


class Catalogue(Message):
    as_of: Time
    digest: str
    products: tuple[Product, ...]
    rules: tuple[Rule, ...]
    upc_ean_conv: Literal["none", "ean2upc", "upc2ean", "always"] = "always"


# --- readings and state: station → anyone --------------------------------------------------


class StationState(Message):
    """Retained; the last will says `online: false` with the birth it belongs to."""

    online: bool
    birth: int = Field(description="grows with each connection: ignore a will of an older birth")
    build: str = ""
    since: Time | None = None
    epoch: str = ""


class DeviceHealth(Message):
    state: Literal["starting", "up", "degraded", "absent", "failing", "refused"]
    key: str = ""
    params: dict[str, str] = {}
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
