"""The bridge's one TOML file.

The one rule: loading reaches nothing outside. It returns a `BridgeConfig` in which every profile
can be used and every domain has Odoo's shape, or raises `ConfigError` with all the mistakes.
Secrets are never in the file: it names files, which are read when they are needed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from bridge import profile
from bridge.profile import Domain
from mqtt.settings import (
    BrokerTable,
    ConfigError,
    Name,
    Problem,
    Table,
    Urls,
    WholePath,
    nearest,
    problems,
    read_toml,
)
from mqtt.tls import Tls

__all__ = ["BridgeConfig", "ConfigError", "load", "mistakes"]


def _profile(value: str) -> str:
    if value not in profile.names():
        raise ValueError(f"no such profile.{nearest(value, profile.names())}")
    profile.load(value)
    return value


def _odoo(value: str) -> str:
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # whose text may hold a password
        sound = False
    if not sound or " " in value:
        raise ValueError("Odoo's address looks like https://odoo.example.coop")
    if parts.username is not None:
        raise ValueError("no user and no password in the address: see login and password_file")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("Odoo's address ends after the machine and the port, without a path")
    return value


class MqttTable(BrokerTable):
    """The central broker."""

    url: Urls | None = Field(
        default=None,
        description="mqtt://host:port or mqtts://host:port, or a list of them, tried in turn; to be"
        " given here or by EDGED_MQTT_URL",
    )
    client: Name = Field(default="edged-bridge", description="unique among the broker's clients")


class InboxTable(Table):
    """Where facts are kept on their way to Odoo."""

    folder: WholePath = Path("/var/lib/edged-bridge")
    keep_days: int = Field(
        default=90, ge=8, le=36_500, description="how long settled facts are remembered"
    )
    min_free_mb: int = Field(default=200, ge=1, description="below this, facts stay on the broker")


class OdooTable(Table):
    """How to reach a shop's Odoo, as which user."""

    url: Annotated[str, AfterValidator(_odoo)]
    db: str
    login: str
    password_file: Path = Field(description="holds the password or, better, an API key")
    ca: WholePath | None = Field(
        default=None, description="authority of Odoo's certificate, trusted beside the system's"
    )
    wire: Literal["jsonrpc"] = "jsonrpc"
    profile: Annotated[str, AfterValidator(_profile)] = "stock"
    language: str = Field(default="fr_FR", description="for the names of products and categories")
    company: int | None = Field(default=None, description="default: the user's own company")

    @field_validator("ca")
    @classmethod
    def _for_https(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        url = others.data.get("url", "https:")  # "https:": the url itself is wrong, and told
        if value is not None and urlsplit(url).scheme != "https":
            raise ValueError("is for https:// addresses only")
        return value


class MembersTable(Table):
    """Who may shop. Domains are Odoo's; each narrows the one above."""

    members: bool = True
    employees: bool = True
    domain: Domain = Field(default=[], description="which partners are members; default: all")
    stop: Domain = Field(default=[], description="members whose verdict is `stop`")
    warn: Domain = Field(default=[], description="members whose verdict is `warn`")
    every_s: float = Field(default=60, gt=0, description="changes are looked for this often")
    full_s: float = Field(default=3600, gt=0, description="everything is read anew this often")


class ProductsTable(Table):
    """What the scales sell."""

    enabled: bool = True
    domain: Domain = Field(default=[])
    units: list[str] = Field(default=["kg"], description="names of the unit whose price is per kg")
    every_s: float = Field(default=120, gt=0)


class ApplyTable(Table):
    """How facts are brought to Odoo."""

    again_s: float = Field(default=5, ge=0, description="a refused fact is tried once more after")
    pause_s: float = Field(
        default=300,
        ge=0,
        description="after 5 refusals in a row, that kind of that station rests",
    )


class SiteTable(Table):
    """One shop."""

    name: Name
    badge_key_file: Path = Field(description="64 hex digits, the same as on the shop's stations")
    odoo: OdooTable
    members: MembersTable = MembersTable()
    products: ProductsTable = ProductsTable()
    apply: ApplyTable = ApplyTable()


class BridgeConfig(Table):
    mqtt: MqttTable = MqttTable()
    inbox: InboxTable = InboxTable()
    site: list[SiteTable] = Field(min_length=1)


def load(path: Path, *, mqtt_url: str | None = None) -> BridgeConfig:
    """Read the file; `mqtt_url` (with user and password) stands in place of `[mqtt] url`.

    Raises `ConfigError`.
    """
    content = read_toml(path)
    if mqtt_url is not None:
        given = content.get("mqtt", {})
        content["mqtt"] = {**(given if isinstance(given, dict) else {}), "url": mqtt_url}
    try:
        config = BridgeConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError(problems(path, BridgeConfig, error)) from None
    names = [site.name for site in config.site]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            [Problem(path, "site", "name", f"'{name}' is there more than once.") for name in twice]
        )
    return config


def mistakes(path: Path, config: BridgeConfig) -> Iterator[Problem]:
    """What is wrong with the files for TLS that the configuration names, by reading them."""
    for key, why in config.mqtt.mistakes():
        yield Problem(path, "mqtt", key, why)
    for number, site in enumerate(config.site, 1):
        for key, why in Tls(site.odoo.ca).mistakes():
            yield Problem(path, "site.odoo", key, why, number)
