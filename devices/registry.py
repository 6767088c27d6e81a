"""Finds drivers, decoders and simulators by name, through entry points.

The one rule: nothing is imported before the configuration names it, and what does not import is
`Refused` with its reason; it stops nothing else.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from devices.device import Device
from devices.errors import Refused

if TYPE_CHECKING:
    from devices.simulate import Simulator

Family = Literal["badge_reader", "scale", "printer", "camera"]
Decoder = Callable[[Mapping[str, Any]], dict[str, Any]]
M = TypeVar("M", bound=BaseModel)


@cache
def drivers(family: str) -> dict[str, EntryPoint]:
    """What is installed for a family (or ``protocol``, ``simulator``), by name, not imported."""
    return {point.name: point for point in entry_points(group=f"edged.{family}")}


class Driver(Protocol):
    """A driver's class: what its table in the configuration may say, and how it is made."""

    Settings: type[BaseModel]

    def __call__(self, name: str, settings: Any) -> Device: ...


def load_driver(family: Family, name: str) -> Driver:
    """The driver's class. It has `Settings` (a pydantic model) and takes ``(name, settings)``.

    Raises `Refused`: ``device.unknown_driver`` (params ``driver``, ``nearest``),
    ``device.missing_library`` (``driver``, ``library``) or ``device.driver_broken`` (``driver``,
    ``why``).
    """
    driver: Driver = _load(family, name)
    return driver


def load_decoder(protocol: str) -> Decoder:
    """What a captured frame of this protocol means. Raises `Refused` as `load_driver` does."""
    decoder: Decoder = _load("protocol", protocol)
    return decoder


def load_simulator(name: str) -> "type[Simulator]":
    """The class of a simulated device. Raises `Refused` as `load_driver` does."""
    simulator: type[Simulator] = _load("simulator", name)
    return simulator


def _load(family: str, name: str) -> Any:
    known = drivers(family)
    if name not in known:
        raise Refused("device.unknown_driver", driver=name, nearest=nearest(name, known))
    try:
        return known[name].load()
    except ModuleNotFoundError as error:
        library = error.name or str(error)
        raise Refused("device.missing_library", driver=name, library=library) from error
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
        raise Refused("device.driver_broken", driver=name, why=why) from error


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word that a mistyped one most resembles; "" when none does."""
    return next(iter(difflib.get_close_matches(word.lower(), list(words), n=1)), "")


class BadSettings(ValueError):
    """Everything wrong with a table, at once: `problems` holds (path, what is wrong with it)."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{path}: {message}" for path, message in problems))
        self.problems = problems


def check_settings(model: type[M], table: Mapping[str, Any], *, path: str = "") -> M:
    """The table as `model`. Raises `BadSettings`; its messages never hold a value of the table."""
    try:
        return model.model_validate(dict(table))
    except ValidationError as error:
        problems = [
            (".".join([path, *map(str, each["loc"])]).strip("."), _message(model, each))
            for each in error.errors(include_url=False, include_input=False)
        ]
        raise BadSettings(problems) from error


def _message(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        near = nearest(str(error["loc"][-1]), _fields(model, error["loc"][:-1]))
        return f"unknown key; did you mean {near!r}?" if near else "unknown key"
    if error["type"] == "missing":
        return "is required"
    return str(error["msg"])


def _fields(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys known where `path` leads; none where that is not a table of its own."""
    for step in path:
        field = model.model_fields.get(str(step))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
