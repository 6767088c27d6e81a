"""What the station's file and the bridge's have in common: how they are read, names and brokers,
and how everything that is wrong in them is told.

The one rule: a person corrects a file once, not once per mistake. All mistakes are told together,
each with file, table, key and what is expected; no text of the file is, because it may be a secret.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from mqtt.address import Address
from mqtt.tls import Tls
from mqtt.topics import DEFAULT_ROOT, ROOT, valid_name

_LISTED = 12
"""So many known words are listed when none is near; more would bury the mistake."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: ``station.toml: [scale.balance] baud: …``.

    `number` is which one of an array of tables it is in, from 1: ``[[site]] (no. 2) name: …``.
    """

    file: Path
    table: str
    key: str
    message: str
    number: int | None = None

    def __str__(self) -> str:
        where = f"[{self.table}] " if self.table else ""
        if self.number is not None:
            where = f"[{where.strip()}] " if "." not in self.table else where
            where += f"(no. {self.number}) "
        key = f"{self.key}: " if self.key else ""
        return f"{self.file}: {where}{key}{self.message}"


class ConfigError(Exception):
    """A configuration cannot be used. `problems` lists every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def nearest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean 'x'?`` or, when nothing is near, what there is if that is not too much."""
    words = {one.lower(): one for one in sorted(known)}
    close = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    close = close or [one for one in words if word and word.lower() in one]
    if close:
        return f" Did you mean '{words[close[0]]}'?"
    return f" Known here: {', '.join(words.values())}." if 0 < len(words) <= _LISTED else ""


def read_toml(file: Path, *, hint: str = "") -> dict[str, Any]:
    """What the file says. Raises `ConfigError`; `hint` is added where there is no file."""
    text = ""
    try:
        # Windows' editors put a mark before the text.
        text = file.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except FileNotFoundError:
        why = f"no such file.{hint}"
    except PermissionError as error:
        how = "Run this as the service's user: sudo -u edged edged check, for instance."
        why = f"cannot be read: {error.strerror}. {how}"
    except OSError as error:
        why = f"cannot be read: {error.strerror}."
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        why = f"line {line} is not UTF-8 text: save the file as UTF-8."
    except tomllib.TOMLDecodeError as error:
        why = f"is not valid TOML: {error}.{_look_alike(text, str(error))}"
    except (ValueError, RecursionError):  # of thousands of digits or of brackets
        why = "is not valid TOML: a number or a list is too long."
    raise ConfigError([Problem(file, "", "", why)])


def _look_alike(text: str, error: str) -> str:
    """What to do where `error` is about a value without quotes, or about a character that a word
    processor or a keyboard put in place of TOML's own, and that looks right.
    """
    place = re.search(r"at line (\d+), column (\d+)", error)
    found = ""
    if place:
        line, column = int(place[1]) - 1, int(place[2]) - 1
        found = text.replace("\r\n", "\n").split("\n")[line][column : column + 1]
    if found and found in "«»“”„‘’":
        return ' Type straight quotes there: "…".'
    if found.isspace() and found not in " \t":
        return " What looks like a space there is none: type it anew."
    if error.startswith("Invalid value"):
        return ' Text stands between quotes: "…".'
    return ""


def problems(
    file: Path, model: type[BaseModel], error: ValidationError, table: str = ""
) -> list[Problem]:
    """Everything that is wrong with `model`, which stands in `table` ("": the whole file)."""
    return [_problem(file, model, each, table) for each in error.errors(include_url=False)]


def _problem(file: Path, model: type[BaseModel], error: ErrorDetails, table: str) -> Problem:
    steps = error["loc"]
    names = [step for step in steps if isinstance(step, str)]
    number = next((step + 1 for step in steps[:-1] if isinstance(step, int)), None)
    *tables, key = names or [""]
    item = f" (no. {steps[-1] + 1})" if steps and isinstance(steps[-1], int) else ""
    path = ".".join([table, *tables] if table else tables)
    return Problem(file, path, f"{key}{item}", _sentence(model, tables, key, error), number)


_TYPES = {
    "string_type": "must be text between quotes",
    "list_type": "must be a list between brackets: [ ]",
}
"""In the words of the documents."""


def _sentence(model: type[BaseModel], tables: Sequence[str], key: str, error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key.{nearest(key, _keys(model, tables))}"
        case "missing":
            return "is missing, and there is no default."
        case "model_type" | "model_attributes_type" | "dict_type":
            return "must be a table."
        case "path_type":
            return "must be a path between quotes."
        case "too_short":
            return "must hold at least one."
        case "list_type" if _model_in(_annotation(model, tables, key)):
            return f"must be written [[{'.'.join([*tables, key])}]], once for each."
    said = error["msg"].removeprefix("Value error, ")
    said = _TYPES.get(error["type"], said)
    said = re.sub(r"^(Input|String|List|Value) should ", "must ", said).rstrip(".")
    given = error["input"]
    # A number is no secret, and shows what quotes would have changed.
    found = f" (found {given!r})" if isinstance(given, int | float) else ""
    return f"{said[0].lower()}{said[1:]}{found}" + ("" if said.endswith("?") else ".")


def _keys(model: type[BaseModel], tables: Sequence[str]) -> Iterable[str]:
    """What may stand in a table that lies that deep in `model`."""
    inner = _inner(model, tables)
    return inner.model_fields if inner else ()


def _annotation(model: type[BaseModel], tables: Sequence[str], key: str) -> Any:
    inner = _inner(model, tables)
    field = inner.model_fields.get(key) if inner else None
    return field.annotation if field else None


def _inner(model: type[BaseModel], tables: Sequence[str]) -> type[BaseModel] | None:
    """The model of a table that lies that deep in `model`."""
    for table in tables:
        field = model.model_fields.get(table)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return None
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as ``list[SiteTable]`` or ``Filter | None`` is about."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


# --- what stands in both files ---------------------------------------------------------------


def _name(value: str) -> str:
    if not valid_name(value):
        raise ValueError("a name has a–z, 0–9 and - only, not - first, 32 at most")
    return value


def _root(value: str) -> str:
    if not ROOT.fullmatch(value):
        raise ValueError(f"a root is words of letters, digits, - and _, as in {DEFAULT_ROOT}")
    return value


def _url(value: str) -> str:
    Address.parse(value)
    return value


def _listed(value: object) -> object:
    if not isinstance(value, str | list):
        raise ValueError("must be an address between quotes, or a list of them")  # noqa: TRY004 - pydantic's word
    return re.split(r"\s*,\s*(?=mqtts?://)", value) if isinstance(value, str) else value


def _whole(value: Path) -> Path:
    # Another folder for each place that a command is typed in would be another store.
    if not value.is_absolute():
        raise ValueError("write the whole path, from / on")
    return value


Name = Annotated[str, AfterValidator(_name)]
WholePath = Annotated[Path, AfterValidator(_whole)]
Urls = Annotated[
    list[Annotated[str, AfterValidator(_url)]], Field(min_length=1), BeforeValidator(_listed)
]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BrokerTable(Table):
    """How to speak to the central broker, and as whom."""

    url: Urls | None = Field(
        default=None, description="mqtt://host:port or mqtts://host:port; several are tried in turn"
    )
    root: Annotated[str, AfterValidator(_root)] = DEFAULT_ROOT
    version: Literal["5", "3.1.1"] = "5"
    user: str | None = None
    password_file: Path | None = None
    ca: WholePath | None = None
    cert: WholePath | None = None
    key: WholePath | None = None

    @model_validator(mode="after")
    def _sound(self) -> "BrokerTable":
        self.addresses(password=None)
        return self

    def addresses(self, *, password: str | None) -> list[Address]:
        """Where to connect, in turn. Raises ValueError with a sentence."""
        return [
            Address.parse(
                url,
                user=self.user,
                password=password,
                ca=self.ca,
                cert=self.cert,
                key=self.key,
                version=self.version,
            )
            for url in self.url or ()
        ]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """What hardly lets a link come about, as (key, sentence). Reads the files that it names."""
        for address in self.addresses(password=None):
            if address.doubt:
                yield "url", address.doubt
        yield from Tls(self.ca, self.cert, self.key).mistakes()
