"""How a device is, in the six words every page, log and MQTT message uses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from devices.errors import NonsenseError, as_text, as_texts, expect


class State(StrEnum):
    STARTING = "starting"
    UP = "up"
    DEGRADED = "degraded"
    """Works, with something a person should know (paper low)."""
    ABSENT = "absent"
    FAILING = "failing"
    REFUSED = "refused"


_FIRST, _LAST = 1900, 9999


def _now() -> datetime:
    return datetime.now(UTC)


def _in_utc(since: object) -> datetime:
    """A plain moment, free of the driver's own class and time zone, whose methods may do anything.
    Not near the ends of the calendar, where no other time zone can tell it."""
    try:
        if (
            isinstance(since, datetime)
            and since.utcoffset() is not None
            and _FIRST < since.year < _LAST
        ):
            return datetime.fromtimestamp(since.timestamp(), UTC)
    except Exception as error:
        raise NonsenseError("a health's since: its time zone does not work") from error
    raise NonsenseError("a health's since: a moment in a time zone expected")


@dataclass(frozen=True, slots=True)
class Health:
    """A state, the catalogue key that explains it ("" when nothing needs saying), and since when.

    Two healths are equal when they say the same thing: `since` does not count. Key and params
    become text; raises `NonsenseError` for what is no state or no moment.
    """

    state: State = State.STARTING
    key: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    since: datetime = field(default_factory=_now, compare=False)

    def __post_init__(self) -> None:
        expect("a health's state", self.state, State)
        object.__setattr__(self, "since", _in_utc(self.since))
        object.__setattr__(self, "key", as_text(self.key))
        object.__setattr__(self, "params", as_texts(self.params))

    @property
    def usable(self) -> bool:
        return self.state in (State.UP, State.DEGRADED)
