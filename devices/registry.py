"""Finds drivers, decoders and simulators by name, through entry points.

The one rule: nothing is imported before the configuration names it, and what does not import is
`Refused` with its reason; it stops nothing else.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel

from devices.contained import DEVICE, call_as
from devices.device import Device
from devices.errors import Broken, Refused, why

if TYPE_CHECKING:
    from devices.simulate import Simulator

Family = Literal["badge_reader", "scale", "printer", "camera"]
Decoder = Callable[[Mapping[str, Any]], dict[str, Any]]


_OURS = "edged"
"""The distribution whose names nobody else's take."""


@cache
def drivers(family: str) -> dict[str, list[EntryPoint]]:
    """What is installed for a family (or ``protocol``, ``simulator``), by name, not imported.

    More than one where several distributions have one of this name and none of them is ours.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=f"edged.{family}"):
        found.setdefault(point.name, []).append(point)
    for name, points in found.items():
        found[name] = [point for point in points if _distribution(point) == _OURS] or points
    return found


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else ""


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
    settings: object = getattr(driver, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        raise Broken(name, "it has no Settings, or they are no pydantic model")
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
    whose = sorted({_distribution(point) for point in known[name]})
    if len(whose) > 1:
        raise Broken(name, f"several distributions have one of this name: {', '.join(whose)}")
    try:
        return call_as(DEVICE.get(), known[name][0].load)
    except ModuleNotFoundError as error:
        library = error.name or str(error)
        raise Refused("device.missing_library", driver=name, library=library) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Broken(name, why(error)) from error


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word that a mistyped one most resembles; "" when none does."""
    return next(iter(difflib.get_close_matches(word.lower(), list(words), n=1)), "")
