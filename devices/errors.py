"""Why a device stopped: three words that decide what the supervisor does next.

The one rule: a driver never sleeps, retries or logs a fault itself. It raises one of these and
`devices.keep` acts. Each carries a message key (the sentence stands in the kiosk's catalogues)
and the values that sentence names.
"""

from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType

_LONGEST = 500
_MOST = 16
"""Values of one word; with their names they have at most `_WHOLE` characters."""
_WHOLE = 1500


def as_text(value: object) -> str:
    """What a driver gave, as text that every page, log and message can carry: printable, short."""
    text = str(value)[:_LONGEST]
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


def as_texts(values: Mapping[str, object]) -> dict[str, str]:
    """The first of what a driver gave, as text, bounded as a whole."""
    texts: dict[str, str] = {}
    room = _WHOLE
    for key, value in islice(values.items(), _MOST):
        name = as_text(key)
        room -= len(name)
        if room <= 0:
            break
        texts[name] = as_text(value)[:room]
        room -= len(texts[name])
    return texts


def why(error: BaseException) -> str:
    """``KeyError: 'port'``, also for an error that cannot say what it is."""
    try:
        return as_text(f"{type(error).__name__}: {error}")
    except BaseException:  # noqa: BLE001 (a stranger's `__str__`)
        return type(error).__name__


class DeviceError(Exception):
    """A device cannot go on. `key` is a catalogue key such as ``device.silent``.

    Whatever is given becomes text.
    """

    key: str = "device.bug"
    params: Mapping[str, str] = MappingProxyType({})

    def __init__(self, key: str, **params: object) -> None:
        self.key = as_text(key)
        self.params = as_texts(params)
        details = " ".join(f"{name}={value}" for name, value in self.params.items())
        super().__init__(f"{self.key} {details}".rstrip())


class Absent(DeviceError):
    """Not plugged in. Wait for it (`Device.plugged`), without limit and without noise."""


class Unreachable(Absent):
    """Absent on the network: only the next attempt shows whether it is there again."""


class Lost(DeviceError):
    """It was there. Back off 0.25, 1, 5, 30 s and try again."""


class Refused(DeviceError):
    """Needs a person (permission, wrong setting, missing library). Stop until they act."""


class Broken(Refused):
    """The driver is not what its family promises: only another version of it helps."""

    def __init__(self, driver: str, reason: str) -> None:
        super().__init__("device.driver_broken", driver=driver, why=reason)


class NonsenseError(TypeError):
    """A driver hands out what its family does not know. Told as `Broken`: no second try helps."""


def expect(what: str, given: object, *kinds: type) -> None:
    """Raise `NonsenseError` unless `given` is of one of these types.

    A type derived from them is none of them, because its methods are the driver's and may raise
    wherever the value is used.
    """
    if type(given) not in kinds:
        names = " or ".join("None" if kind is type(None) else kind.__name__ for kind in kinds)
        raise NonsenseError(f"{what}: {names} expected, not {type(given).__name__}")
