"""A station's one TOML file, read into models that say what each key means.

The one rule: loading opens nothing and guesses nothing. It either returns a `Config` in which
every name refers to something that exists, or raises `ConfigError` with all the mistakes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from devices import DeviceError
from devices.contained import set_up
from devices.errors import Broken
from devices.errors import why as reason
from devices.ports import check_port
from devices.registry import Driver, Family, drivers, load_driver
from kiosk.settings import EntranceSettings, PhotoSettings, ScaleSettings
from mqtt.settings import (
    BrokerTable,
    ConfigError,
    Name,
    Problem,
    Table,
    WholePath,
    nearest,
    problems,
    read_toml,
)
from mqtt.topics import RESERVED_STATIONS, valid_name

FAMILIES: tuple[Family, ...] = ("badge_reader", "scale", "printer", "camera")

T = TypeVar("T", bound=Table)
M = TypeVar("M", bound=BaseModel)


class StationTable(Table):
    """Who this station is and where it keeps what it knows."""

    site: Name
    name: Name
    coop: str = Field(default="", description="the shop's name, as the screens show it")
    language: Literal["fr", "en", "es"] = "fr"
    timezone: str = "Europe/Paris"
    data: WholePath = Path("/var/lib/edged")
    badge_key_file: Path | None = Field(
        default=None,
        description="the key that hashes badge numbers, the same on the bridge; "
        "default: badge.key in `data`, made when missing",
    )
    clock: Literal["auto", "trusted"] = Field(
        default="auto",
        description="trusted: this machine has a clock of its own that is right without NTP",
    )

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"unknown time zone.{nearest(value, available_timezones())}")
        return value

    @field_validator("name")
    @classmethod
    def _free_name(cls, value: str) -> str:
        if value in RESERVED_STATIONS:
            raise ValueError("this name is used by the topics of the whole shop: choose another")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class MqttTable(BrokerTable):
    """Where the central broker is; without this table the station works and keeps its facts."""

    broker: Literal["embedded"] | None = Field(
        default=None, description="embedded: one machine for everything, a private broker beside us"
    )
    values: list[Name] = Field(default=[], description="scales whose readings are published")

    @model_validator(mode="after")
    def _one_of(self) -> "MqttTable":
        if (self.url is None) == (self.broker is None):
            raise ValueError('give either url = "mqtts://…" or broker = "embedded"')
        return self


class BridgeTable(Table):
    """One-box mode: the bridge that runs beside the daemon."""

    config: Path


class KioskTable(Table):
    """The pages, on 127.0.0.1 only."""

    port: int = Field(default=8080, ge=0, le=65535)


class ScreensTable(Table):
    entrance: EntranceSettings | None = None
    scale: ScaleSettings | None = None
    photo: PhotoSettings | None = None


@dataclass(frozen=True, slots=True)
class DeviceTable:
    """A device as configured: its driver is loaded, nothing is opened.

    `driver` is None when it could not be loaded; `refused` then says why.
    """

    family: Family
    name: str
    driver_name: str
    driver: Driver | None
    settings: BaseModel | None
    refused: DeviceError | None = None


@dataclass(frozen=True, slots=True)
class Config:
    file: Path
    station: StationTable
    mqtt: MqttTable | None
    bridge: BridgeTable | None
    kiosk: KioskTable
    screens: ScreensTable
    devices: tuple[DeviceTable, ...]


_TABLES: dict[str, type[Table]] = {
    "station": StationTable,
    "mqtt": MqttTable,
    "bridge": BridgeTable,
    "kiosk": KioskTable,
    "screens": ScreensTable,
}


def load(file: Path) -> Config:
    """Read a station's file. Raises `ConfigError`."""
    content = read_toml(file, hint=" `edged find` proposes what to write in it.")
    return _Reader(file, content).config()


class _Reader:
    """Collects problems while it reads; `config` raises them together."""

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        self._file = file
        self._content = content
        self._problems: list[Problem] = []
        self._ports: dict[str, str] = {}

    def config(self) -> Config:
        for name in self._content.keys() - _TABLES.keys() - set(FAMILIES):
            self._unknown(name)
        station = self._table("station", StationTable, required=True)
        mqtt = self._table("mqtt", MqttTable)
        bridge = self._table("bridge", BridgeTable)
        kiosk = self._table("kiosk", KioskTable) or KioskTable()
        screens = self._table("screens", ScreensTable) or ScreensTable()
        devices = tuple(self._devices())
        self._references(mqtt, bridge, screens, devices)
        if self._problems or station is None:
            raise ConfigError(self._problems)
        return Config(self._file, station, mqtt, bridge, kiosk, screens, devices)

    def _wrong(self, table: str, key: str, message: str) -> None:
        self._problems.append(Problem(self._file, table, key, message))

    def _unknown(self, name: str) -> None:
        """A table that there is not, or a key above all tables."""
        if isinstance(self._content[name], Mapping | list):
            self._wrong(name, "", f"unknown table.{nearest(name, [*_TABLES, *FAMILIES])}")
            return
        homes = [f"[{table}]" for table, model in _TABLES.items() if name in model.model_fields]
        home = " or ".join(homes) or "the line of its table, such as [station]"
        self._wrong("", name, f"stands in no table: move it below {home}.")

    def _table(self, name: str, model: type[T], *, required: bool = False) -> T | None:
        given = self._content.get(name)
        if given is None:
            if required:
                self._wrong(name, "", "this table is missing.")
            return None
        return self._check(name, model, given)

    def _check(self, table: str, model: type[M], given: Any) -> M | None:
        if not isinstance(given, Mapping):
            self._wrong(table, "", f"must be a table: [{table}].")
            return None
        try:
            return model.model_validate(dict(given))
        except ValidationError as error:
            self._problems += problems(self._file, model, error, table)
            return None

    def _devices(self) -> Iterator[DeviceTable]:
        seen: dict[str, str] = {}
        for family in FAMILIES:
            tables = self._content.get(family, {})
            if not isinstance(tables, Mapping):
                self._wrong(family, "", f"must hold tables, such as [{family}.door].")
                continue
            if isinstance(tables.get("driver"), str):
                why = f"this {family} has no name: write [{family}.NAME], a name that you choose."
                self._wrong(family, "", why)
                continue
            for name, given in tables.items():
                table = f"{family}.{name}"
                if not isinstance(given, Mapping):
                    self._wrong(family, name, f"must be a table: [{table}].")
                elif not valid_name(name):
                    why = "a device's name has a–z, 0–9 and - only, not - first, 32 at most."
                    self._wrong(table, "", why)
                elif name in seen:
                    self._wrong(table, "", f"this name is already used by [{seen[name]}.{name}].")
                else:
                    seen[name] = family
                    device = self._device(family, name, dict(given))
                    if device is not None:
                        yield device

    def _device(self, family: Family, name: str, given: dict[str, Any]) -> DeviceTable | None:
        table = f"{family}.{name}"
        known = drivers(family)
        driver_name = given.pop("driver", None)
        if not isinstance(driver_name, str):
            why = "is missing." if driver_name is None else "must be a word between quotes."
            self._wrong(table, "driver", why + nearest("", known))
            return None
        if driver_name not in known:
            self._wrong(table, "driver", f"no such driver.{nearest(driver_name, known)}")
            return None
        try:
            driver = set_up(name, driver_name, lambda: load_driver(family, driver_name))
        except DeviceError as refused:
            # A missing library is this device's trouble, told on the status page; the others work.
            return DeviceTable(family, name, driver_name, None, None, refused)
        try:
            settings = set_up(name, driver_name, lambda: self._settings(table, driver, given))
            if settings is None:
                return None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 (a stranger's validator may raise anything)
            broken = Broken(driver_name, reason(error))
            return DeviceTable(family, name, driver_name, None, None, broken)
        return DeviceTable(family, name, driver_name, driver, settings)

    def _settings(self, table: str, driver: Driver, given: Mapping[str, Any]) -> BaseModel | None:
        """None for a mistake of the file; raises whatever the driver's model does."""
        settings = self._check(table, driver.Settings, given)
        if settings is None:
            return None
        getattr(settings, "unit", None)  # read below, when nothing of this driver may fail
        port = getattr(settings, "port", None)
        # A default that names no port is the driver's way to say that it needs none.
        if isinstance(port, str | Path) and ("port" in given or port != ""):
            return settings if self._port(table, port) else None
        return settings

    def _port(self, table: str, port: str | Path) -> bool:
        """Whether the device's port is its own and may be one."""
        port = str(port)
        try:
            check_port(port)
        except ValueError as error:
            self._wrong(table, "port", f"{error}.")
            return False
        other = self._ports.setdefault(port, table)
        if other != table and not port.startswith("sim:"):
            self._wrong(table, "port", f"is already used by [{other}]: a port has one device.")
            return False
        return True

    def _references(
        self,
        mqtt: MqttTable | None,
        bridge: BridgeTable | None,
        screens: ScreensTable,
        devices: tuple[DeviceTable, ...],
    ) -> None:
        wanted: list[tuple[str, str, str, Family]] = []
        if screens.entrance:
            wanted.append(("entrance", "reader", screens.entrance.reader, "badge_reader"))
        if screens.scale:
            wanted.append(("scale", "scale", screens.scale.scale, "scale"))
            wanted.append(("scale", "printer", screens.scale.printer, "printer"))
        if screens.photo:
            wanted.append(("photo", "reader", screens.photo.reader, "badge_reader"))
            wanted.append(("photo", "camera", screens.photo.camera, "camera"))
        for screen, key, name, family in wanted:
            named = self._named(family)
            if name not in named:
                hint = nearest(name, named) or f" Add a table [{family}.{name}]."
                self._wrong(f"screens.{screen}", key, f"no {family} is named '{name}'.{hint}")
        scales = self._named("scale")
        for name in mqtt.values if mqtt else []:
            if name not in scales:
                hint = nearest(name, scales)
                self._wrong("mqtt", "values", f"no scale is named '{name}'.{hint}")
        for device in devices:
            used = screens.scale is not None and device.name == screens.scale.scale
            if used and getattr(device.settings, "unit", "kg") not in ("kg", "g"):
                why = "the self-service screen weighs in kilograms and grams."
                self._wrong(f"scale.{device.name}", "unit", why)
        if bridge and (mqtt is None or mqtt.broker is None):
            self._wrong("bridge", "", 'is for one-box mode: [mqtt] needs broker = "embedded".')

    def _named(self, family: Family) -> list[str]:
        """The devices of a family that the file speaks of, also where they are not understood."""
        tables = self._content.get(family)
        if not isinstance(tables, Mapping):
            return []
        return [name for name, given in tables.items() if isinstance(given, Mapping | list)]
