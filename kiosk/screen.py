"""What the three screens share: a page that changes, taps, a language that is forgotten.

The one rule: a screen is a state machine on the event loop. `tap` decides at once, without
waiting, so that ten taps in a second meet the state that the first one left and have one effect.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from devices import Health, State, Value
from kiosk.station import Station
from kiosk.words import Language, language_of


class AnyPage(Protocol):
    """What every page has."""

    @property
    def state(self) -> str: ...
    @property
    def language(self) -> Language: ...
    @property
    def cue(self) -> str: ...


P = TypeVar("P", bound=AnyPage)
LIFE_S = 2.0
"""How often a screen that works says so, in seconds."""


def _nobody() -> None:
    """Nobody watches this screen."""


class Timer:
    """One thing to do later; setting it again moves it."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._handle: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._handle is not None

    def set(self, seconds: float) -> None:
        self.clear()
        self._handle = asyncio.get_running_loop().call_later(seconds, self._ring)

    def clear(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _ring(self) -> None:
        self._handle = None
        self._act()


class Screen(ABC, Generic[P]):
    """A state machine with a page. Works with no web server in front of it."""

    name: ClassVar[str]
    page: Value[P]
    forget_language_s: float = 30

    def __init__(self, station: Station) -> None:
        self.station = station
        self.language: Language = station.language
        self._chosen = False
        """Somebody touched a language; the one that a badge brings gives way to it."""
        self._memory = Timer(self._language_rested)
        self._cues = 0
        self.alive: Callable[[], None] = _nobody
        """Called every few seconds while `run` works; a watchdog may listen."""

    @abstractmethod
    async def run(self) -> None:
        """Hold the screen until cancelled."""

    def tap(self, do: str, what: str = "") -> None:
        """Somebody touched a button. What does not fit the present state has no effect."""
        if do == "language":
            self.language = language_of(what, self.station.language)
            self._chosen = True
            self._memory.set(self.forget_language_s)
            self._refresh()
            return
        if self._chosen:
            self._memory.set(self.forget_language_s)
        self._act(do, what)

    @abstractmethod
    def _act(self, do: str, what: str, /) -> None:
        """One tap other than a language."""

    @abstractmethod
    def _refresh(self) -> None:
        """Work the page out again from what is known now, and show it if it differs."""

    @property
    @abstractmethod
    def _engaged(self) -> bool:
        """Whether somebody is in the middle of something, and may be reading."""

    def _language_rested(self) -> None:
        if self._engaged:
            self._memory.set(self.forget_language_s)
        else:
            self._forget_language()
            self._refresh()

    def _forget_language(self) -> None:
        """The next person is spoken to in the shop's language."""
        self._memory.clear()
        self._chosen = False
        self.language = self.station.language

    def _new_cue(self, sound: str) -> str:
        """A sound to make once: ``ok``, ``warn``, ``stop`` or ``unknown``, with a number."""
        self._cues += 1
        return f"{self._cues} {sound}"

    async def _show_life(self) -> None:
        """Part of `run`, beside what it follows."""
        while True:
            self.alive()
            await asyncio.sleep(LIFE_S)

    async def _follow(self, value: Value[Any]) -> None:
        """Refresh at each change of `value`."""
        async for _ in value.changes():
            self._refresh()


def trouble(health: Health, absent: str, failing: str) -> str:
    """Which of two keys a device's health asks for; "" when it works or is only starting."""
    if health.usable or health.state is State.STARTING:
        return ""
    return absent if health.state is State.ABSENT else failing
