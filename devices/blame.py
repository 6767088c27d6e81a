"""Whose code it was, and what is told of it.

The one rule: of a badge reader's bug neither the message nor a source line is told, because a
number may stand in both.
"""

import logging
import traceback
from collections.abc import Collection, Iterable
from types import FrameType

from devices.device import LIVING, Device
from devices.errors import why

log = logging.getLogger(__name__)

_FRAMES = 8
_CAUSES = 5


def whose(frames: Iterable[FrameType], devices: Collection[Device]) -> str:
    """The device one of whose methods runs, or whose driver alone comes from there; or ""."""
    frames = list(frames)
    for frame in frames:
        owner = frame.f_locals.get("self")
        for device in devices:
            if owner is device:
                return str(device.name)
    rooms = {room(frame) for frame in frames}
    found = [device.name for device in devices if home(device) in rooms]
    return found[0] if len(found) == 1 else ""


def room(frame: FrameType) -> str:
    """The package or module at the top that a frame's code is of."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def home(device: Device) -> str:
    """The same of a device's class."""
    return type(device).__module__.partition(".")[0]


def living() -> list[Device]:
    """Every device of this process."""
    return list(LIVING.values())


def log_bug(name: str, error: BaseException | None, *, level: int = logging.ERROR) -> None:
    """One line and the traceback of what a device's driver did."""
    if error is not None and any(device.discreet for device in living() if device.name == name):
        log.log(level, "%s: bug in its driver: %s", name, _shape(error))
        return
    try:
        log.log(level, "%s: bug in its driver", name, exc_info=error)
    except RecursionError:  # groups in groups, deeper than a traceback can be written
        log.log(level, "%s: bug in its driver: %s", name, why(error) if error else "")


def _shape(error: BaseException) -> str:
    """``ValueError at …/reader.py:12 (parse)``, the innermost frame last; then what it came from,
    and of a group the first in it.
    """
    told: list[str] = []
    one: BaseException | None = error
    while one is not None and len(told) < _CAUSES:
        frames = traceback.extract_tb(one.__traceback__, limit=-_FRAMES)
        places = [f"{frame.filename}:{frame.lineno} ({frame.name})" for frame in frames]
        told.append(f"{type(one).__name__} at {' > '.join(places) or 'no line'}")
        cause = one.__cause__ or one.__context__
        one = one.exceptions[0] if isinstance(one, BaseExceptionGroup) else cause
    return "; from ".join(told)
