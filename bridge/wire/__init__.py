"""How the bridge speaks with an Odoo, whatever the protocol.

The one rule: what happened is told by the class of the error, never by its text, which follows the
language of the user. A text of Odoo holds names of people: it stays in `detail`, which nobody logs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class OdooError(Exception):
    """`why` may be shown and sent anywhere; `detail` is Odoo's own text, for the inbox only."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.detail = detail


class Denied(OdooError):
    """Login, password or key are wrong: ask a person for a new one."""


class NotAllowed(OdooError):
    """This user lacks a right: configuration of Odoo."""


class Rejected(OdooError):
    """Odoo understood and refused; the same call will be refused again."""


class Final(Rejected):
    """We know by ourselves that a second try cannot help, or could do harm."""


class Unavailable(OdooError):
    """No usable answer (down, time-out, proxy, database): the call may have been carried out."""


class ProgrammingFault(OdooError):
    """Odoo stumbled over the call: an unknown field or method, a malformed value."""


class Wire(Protocol):
    """One logged-in user of one database."""

    async def call(self, model: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of a model; raises an `OdooError`. Never tries twice by itself."""

    async def user(self) -> int:
        """The id of our own user, logging in when needed."""

    async def version(self) -> int:
        """The server's major version."""

    async def close(self) -> None: ...


_KINDS: Mapping[str, type[OdooError]] = {
    "AccessDenied": Denied,
    "Unauthorized": Denied,
    "AccessError": NotAllowed,
    "Forbidden": NotAllowed,
    "LockError": Unavailable,
    "ConcurrencyError": Unavailable,
}
_FAULTS = frozenset(
    "builtins." + name
    for name in (
        "ValueError",
        "KeyError",
        "TypeError",
        "AttributeError",
        "IndexError",
        "AssertionError",
        "NotImplementedError",
        "UnicodeDecodeError",
        "ZeroDivisionError",
        "OverflowError",
        "NameError",
        "RecursionError",
    )
)
_MODULES = ("odoo.exceptions.", "openerp.exceptions.")


def error_of(name: str, message: str, what: str) -> OdooError:
    """The error for a server-side exception class `name` met while doing `what`."""
    short = name.rpartition(".")[2] or "error"
    why = f"{what}: {short}"
    if short in _KINDS:
        return _KINDS[short](why, message)
    if name.startswith(_MODULES):
        return Rejected(why, message)
    if name in _FAULTS:
        return ProgrammingFault(why, message)
    return Unavailable(why, message)


def conjunction(*domains: Sequence[Any]) -> list[Any]:
    """All of these domains at once: complete domains side by side are joined by "and"."""
    return [term for domain in domains for term in domain]
