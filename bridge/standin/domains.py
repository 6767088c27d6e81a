"""Odoo's search domains, in prefix notation: ``["|", ["a", "=", 1], ["b", "=", 2], ["c", …]]``.

The one rule: terms side by side are joined by "and", and a malformed domain is the ValueError that
the real server gives.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from bridge.standin.fields import FORMAT

Get = Callable[[str], Any]
"""The stored value behind a field or a dotted path, of the record that is looked at."""
Test = Callable[[Get], bool]


def mentions(domain: list[Any], field: str) -> bool:
    return any(not isinstance(term, str) and term[0] == field for term in domain)


def compile_domain(domain: list[Any], version: int) -> Test:
    """A test of one record. Raises ValueError."""
    terms = iter(domain)
    tests = []
    while (test := _next(terms, version)) is not None:
        tests.append(test)
    return lambda get: all(test(get) for test in tests)


def _next(terms: Iterator[Any], version: int) -> Test | None:
    term = next(terms, None)
    if term is None:
        return None
    if isinstance(term, str):
        first = _next(terms, version)
        second = first if term == "!" else _next(terms, version)
        if term not in ("&", "|", "!") or first is None or second is None:
            raise ValueError(f"Malformed domain: {term!r}")
        return _joined(term, first, second)
    field, operator, value = term
    if operator not in _OPERATORS and not (operator == ">" and version >= 19):
        raise ValueError(f"Invalid leaf {tuple(term)!r}")
    if operator == ">" and version >= 19 and isinstance(value, str):
        later = datetime.strptime(value, FORMAT) + timedelta(seconds=1)  # noqa: DTZ007
        operator, value = ">=", later.strftime(FORMAT)
    compare = _OPERATORS[operator]
    return lambda get: compare(get(field), value)


def _joined(operator: str, first: Test, second: Test) -> Test:
    if operator == "!":
        return lambda get: not first(get)
    if operator == "&":
        return lambda get: first(get) and second(get)
    return lambda get: first(get) or second(get)


def _same(stored: Any, wanted: Any) -> bool:
    if wanted is False or wanted is None:
        return stored is None or stored is False
    if isinstance(stored, datetime):
        return bool(stored.strftime(FORMAT) == wanted)
    return bool(stored == wanted)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(stored: Any, wanted: Any) -> bool:
        if stored is None:
            return False
        if isinstance(stored, datetime):
            wanted = datetime.strptime(wanted, FORMAT)  # noqa: DTZ007
        return bool(test(stored, wanted))

    return compare


def _like(stored: Any, wanted: Any) -> bool:
    return stored is not None and str(wanted).casefold() in str(stored).casefold()


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": _same,
    "!=": lambda stored, wanted: not _same(stored, wanted),
    "in": lambda stored, wanted: any(_same(stored, one) for one in wanted),
    "not in": lambda stored, wanted: not any(_same(stored, one) for one in wanted),
    "ilike": _like,
    ">": _ordered(lambda a, b: a > b),
    ">=": _ordered(lambda a, b: a >= b),
    "<": _ordered(lambda a, b: a < b),
    "<=": _ordered(lambda a, b: a <= b),
}
