"""What a fact does in a shop's Odoo: one module an effect; the profile names the one of each kind.

The one rule: an effect may be applied to the same fact again after any crash or lost answer, and
must leave Odoo as one application does. It waits for nothing and tries nothing twice: it raises,
and `bridge.apply` decides.

The modules of this folder are the effects, by name. Each has what `Effect` says.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from bridge.ledger import Fact
from bridge.odoo import Odoo
from bridge.wire import Final
from mqtt.messages import Message

if TYPE_CHECKING:  # a profile checks that its effects exist
    from bridge.profile import Profile


CLOCK_AHEAD = "the station's clock is ahead"


class Hold(Exception):
    """Not an error but a decision, taken deep in the call: the fact's time is not known yet."""


@dataclass(frozen=True, slots=True)
class Shop:
    """What effects work with. `blob`: (fact id, sha256, size) → the bytes, None if not there."""

    odoo: Odoo
    profile: "Profile"
    blob: Callable[[str, str, int], Awaitable[bytes | None]]


class Effect(Protocol):
    """A module of this folder."""

    NEEDS: tuple[str, ...]
    """Tables without which a profile cannot name this effect."""

    async def apply(self, shop: Shop, fact: Fact, data: Message) -> Mapping[str, Any] | None:
        """Bring one fact to Odoo, `data` being its data as its kind's model. Returns what the
        bridge's own record is to keep of it, None for nothing. Raises `OdooError` or `Hold`.
        """


@runtime_checkable
class Batch(Protocol):
    """What a module may have besides: many facts in a few calls, for the hours after an outage."""

    async def apply_batch(
        self, shop: Shop, facts: Sequence[tuple[Fact, Message]]
    ) -> Sequence[Mapping[str, Any] | None]:
        """Bring as many of `facts` as go together, from the first on, perhaps none. Returns for
        each of those what `apply` does. Whatever it raises, all are then applied one at a time.
        """


def names() -> list[str]:
    """The effects that exist."""
    return sorted(module.name for module in iter_modules(__path__))


def load(name: str) -> Effect:
    """KeyError when there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return cast(Effect, import_module(f"{__name__}.{name}"))


def when(fact: Fact) -> datetime:
    """The fact's time, for an effect to which it matters. Raises `Hold`, or `Final`."""
    if fact.dated:
        return fact.at
    if fact.ahead:
        raise Final(CLOCK_AHEAD)
    if fact.datable:
        raise Hold
    raise Final("the station's clock was never right")
