"""Doing together what many ask for at once.

The one rule: the first question is answered at once. All that come in the next seconds are answered
together when these seconds are over, because a thousand answers would say the same.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """`act` gets everything that was asked for since its last call, at most every `every_s`."""

    def __init__(self, act: Callable[[set[T]], None], every_s: float) -> None:
        self._act = act
        self._every = every_s
        self._wanted: set[T] = set()
        self._due = float("-inf")

    def ask(self, *things: T) -> None:
        loop = asyncio.get_running_loop()
        if things and not self._wanted:
            loop.call_at(max(self._due, loop.time()), self._serve)
        self._wanted.update(things)

    def _serve(self) -> None:
        self._due = asyncio.get_running_loop().time() + self._every
        wanted, self._wanted = self._wanted, set()
        self._act(wanted)
