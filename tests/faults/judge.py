"""What people did, what Odoo has, and the difference.

The one rule: the judge believes nobody who could be wrong. What was promised is written down here
the first time that it is seen on a station's disk, and is never changed by what is seen there
later; what became of it is read from Odoo's own rows.

Each badge carries its second, so a badge is known again in Odoo by its person and its second.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Passage = tuple[int, str]
"""Whose badge, and Odoo's words for the second at which it was shown."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """A row of Odoo."""

    row: int
    employee: int
    begin: str
    end: str | None


@dataclass(frozen=True, slots=True)
class Parked:
    """A line of ``edged bridge --parked``."""

    fact: str
    line: str

    @property
    def damaged(self) -> bool:
        """It stands for a fact that a disk has lost."""
        return " damaged: " in self.line


@dataclass(slots=True)
class Truth:
    """What was done in the shop, and what a manager did in Odoo afterwards."""

    shown: Counter[int] = field(default_factory=Counter)
    """How often each person showed their badge and meant it."""
    kept: dict[str, Passage] = field(default_factory=dict)
    """By the fact's id: every badge that has ever been seen on a station's disk."""
    manager: dict[Passage, str | None] = field(default_factory=dict)
    """Passages that a manager moved to another second, or deleted."""

    def note(self, facts: Iterable[Mapping[str, Any]]) -> None:
        """Remember the employees' badges among a station's exported facts."""
        for fact in facts:
            who = fact["data"].get("who") or {}
            if fact["kind"] == "badge" and who.get("kind") == "employee":
                second = fact["at"][:19].replace("T", " ")
                self.kept.setdefault(fact["id"], (who["id"], second))

    def count(self, employee: int) -> int:
        """How many badges of this person are on a disk."""
        return sum(whose == employee for whose, _ in self.kept.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tried` badges; of these `lost` are neither in Odoo nor told to a person, `doubled` are there
    more often than they were shown, `disordered` people have the right seconds in the wrong rows,
    `wrong` stand under somebody else's name, and `told` wait for a person at the bridge.
    """

    tried: int
    lost: int
    doubled: int
    disordered: int
    wrong: int
    told: int

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.wrong)

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.tried + other.tried,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.disordered + other.disordered,
            self.wrong + other.wrong,
            self.told + other.told,
        )


NOTHING = Verdict(0, 0, 0, 0, 0, 0)


def judge(truth: Truth, rows: Iterable[Attendance], parked: Iterable[Parked]) -> Verdict:
    """Compare. A fact that a disk has lost cannot say whose it was: such losses are told as long as
    there are no more of them than parked facts of kind `damaged`.
    """
    parked = list(parked)
    there = _by_employee(rows)
    expected = _expected(truth, {fact.fact for fact in parked})
    lost: list[Passage] = []
    extra: list[Passage] = []
    disordered = 0
    for employee in expected.keys() | there.keys():
        wanted, found = sorted(expected[employee]), _seconds(there[employee])
        missing, more = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
        lost += [(employee, second) for second in missing.elements()]
        extra += [(employee, second) for second in more.elements()]
        disordered += not missing and not more and _pairs(wanted) != there[employee]
    strangers = {second for _, second in lost}
    wrong = sum(second in strangers for _, second in extra)
    invented = Counter(whose for whose, _ in truth.kept.values()) - truth.shown
    told = sum(fact.fact in truth.kept for fact in parked)
    damaged = sum(fact.damaged for fact in parked)
    return Verdict(
        tried=truth.shown.total(),
        lost=max(0, len(lost) - damaged),
        doubled=len(extra) - wrong + invented.total(),
        disordered=disordered,
        wrong=wrong,
        told=told + damaged,
    )


def _expected(truth: Truth, told: set[str]) -> defaultdict[int, list[str]]:
    expected: defaultdict[int, list[str]] = defaultdict(list)
    for fact, (employee, second) in truth.kept.items():
        now = truth.manager.get((employee, second), second)
        if fact not in told and now is not None:
            expected[employee].append(now)
    return expected


def _by_employee(rows: Iterable[Attendance]) -> defaultdict[int, list[tuple[str, str | None]]]:
    there: defaultdict[int, list[tuple[str, str | None]]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.begin):
        there[row.employee].append((row.begin, row.end))
    return there


def _seconds(rows: Iterable[tuple[str, str | None]]) -> list[str]:
    return [second for row in rows for second in row if second]


def _pairs(seconds: list[str]) -> list[tuple[str, str | None]]:
    """In, out, in, out: what Odoo must have of somebody who badged at these seconds."""
    ends = [*seconds[1::2], None]
    return list(zip(seconds[::2], ends, strict=False))
