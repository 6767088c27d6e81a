"""The bridge's one TOML file.

The one rule: loading reaches nothing outside. It returns a `BridgeConfig` in which every profile
can be used and every domain has Odoo's shape, or raises `ConfigError` with all the mistakes.
Secrets are never in the file: it names files, which are read when they are needed.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from bridge import profile
from mqtt.topics import DEFAULT_ROOT, NAME

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]


class ConfigError(Exception):
    """The file cannot be used. `problems` holds every reason, one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def _domain(value: list[Any]) -> list[Any]:
    for term in value:
        operator = isinstance(term, str) and term in ("&", "|", "!")
        leaf = isinstance(term, list) and len(term) == 3 and isinstance(term[0], str)
        if not (operator or leaf):
            raise ValueError(
                'an Odoo domain is a list of ["field", "operator", value] and of "&", "|", "!"'
            )
    return value


def _profile(value: str) -> str:
    if value not in profile.names():
        raise ValueError(f"no such profile.{_nearest(value, profile.names())}")
    profile.load(value)
    return value


Domain = Annotated[list[Any], AfterValidator(_domain)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MqttTable(_Table):
    """The central broker."""

    url: str | None = Field(
        default=None,
        description="mqtt://host:port or mqtts://host:port; commas between several; to be given"
        " here or by EDGED_MQTT_URL",
    )
    root: str = DEFAULT_ROOT
    version: Literal["5", "3.1.1"] = "5"
    client: Name = Field(default="edged-bridge", description="unique among the broker's clients")
    user: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class InboxTable(_Table):
    """Where facts are kept on their way to Odoo."""

    folder: Path = Path("/var/lib/edged-bridge")
    keep_days: int = Field(default=90, ge=8, description="how long settled facts are remembered")
    min_free_mb: int = Field(default=200, ge=1, description="below this, facts stay on the broker")


class OdooTable(_Table):
    """How to reach a shop's Odoo, as which user."""

    url: str = Field(pattern="^https?://")
    db: str
    login: str
    password_file: Path = Field(description="holds the password or, better, an API key")
    wire: Literal["jsonrpc"] = "jsonrpc"
    profile: Annotated[str, AfterValidator(_profile)] = "stock"
    language: str = Field(default="fr_FR", description="for the names of products and categories")
    company: int | None = Field(default=None, description="default: the user's own company")


class MembersTable(_Table):
    """Who may shop. Domains are Odoo's; each narrows the one above."""

    members: bool = True
    employees: bool = True
    domain: Domain = Field(default=[], description="which partners are members; default: all")
    stop: Domain = Field(default=[], description="members whose verdict is `stop`")
    warn: Domain = Field(default=[], description="members whose verdict is `warn`")
    every_s: float = Field(default=60, gt=0, description="changes are looked for this often")
    full_s: float = Field(default=3600, gt=0, description="everything is read anew this often")


class ProductsTable(_Table):
    """What the scales sell."""

    enabled: bool = True
    domain: Domain = []
    units: list[str] = Field(default=["kg"], description="names of the unit whose price is per kg")
    every_s: float = Field(default=120, gt=0)


class ApplyTable(_Table):
    """How facts are brought to Odoo."""

    again_s: float = Field(default=5, ge=0, description="a refused fact is tried once more after")
    pause_s: float = Field(
        default=300, ge=0, description="after 5 refusals in a row, that kind of fact rests"
    )


class SiteTable(_Table):
    """One shop."""

    name: Name
    badge_key_file: Path = Field(description="64 hex digits, the same as on the shop's stations")
    odoo: OdooTable
    members: MembersTable = MembersTable()
    products: ProductsTable = ProductsTable()
    apply: ApplyTable = ApplyTable()


class BridgeConfig(_Table):
    mqtt: MqttTable = MqttTable()
    inbox: InboxTable = InboxTable()
    site: list[SiteTable] = Field(min_length=1)


def load(path: Path, *, mqtt_url: str | None = None) -> BridgeConfig:
    """Read the file; `mqtt_url` (with user and password) stands in place of `[mqtt] url`.

    Raises `ConfigError`.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file."]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: is not valid TOML: {error}"]) from None
    if mqtt_url is not None:
        given = content.get("mqtt", {})
        content["mqtt"] = {**(given if isinstance(given, Mapping) else {}), "url": mqtt_url}
    try:
        config = BridgeConfig.model_validate(content)
    except ValidationError as error:
        raise ConfigError([f"{path}: {_explain(detail)}" for detail in error.errors()]) from None
    names = [site.name for site in config.site]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            [f"{path}: [[site]] name: '{name}' is there more than once." for name in twice]
        )
    return config


def _explain(detail: ErrorDetails) -> str:
    where = [part for part in detail["loc"] if isinstance(part, str)]
    number = next((f" (no. {part + 1})" for part in detail["loc"] if isinstance(part, int)), "")
    *tables, key = where or [""]
    table = ".".join(tables)
    place = f"[[{table}]]{number} " if table == "site" else f"[{table}]{number} " if table else ""
    return f"{place}{key}: {_sentence(detail, tables)}"


def _sentence(detail: ErrorDetails, tables: Sequence[str]) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key.{_nearest(str(detail['loc'][-1]), _keys(tables))}"
    if detail["type"] == "missing":
        return "is missing and has no default."
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = f" (found {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{message[0].lower()}{message[1:].rstrip('.')}{shown}."


_MODELS: Mapping[tuple[str, ...], type[BaseModel]] = {
    (): BridgeConfig,
    ("mqtt",): MqttTable,
    ("inbox",): InboxTable,
    ("site",): SiteTable,
    ("site", "odoo"): OdooTable,
    ("site", "members"): MembersTable,
    ("site", "products"): ProductsTable,
    ("site", "apply"): ApplyTable,
}


def _keys(tables: Sequence[str]) -> Iterable[str]:
    return _MODELS[tuple(tables)].model_fields


def _nearest(word: str, known: Iterable[str]) -> str:
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f" Did you mean '{close[0]}'?" if close else f" Known here: {', '.join(words)}."
