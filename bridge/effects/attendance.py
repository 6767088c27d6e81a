"""From an employee's badge to a row of hr.attendance.

The one rule: whatever happens between us and Odoo, one badge changes the attendances once. The time
of the badge is the key: a row that begins or ends at that very second says that Odoo has it. A new
row also carries the fact's external id, so that two attempts under way at once cannot make two.

The server checks no terminal's clock, takes rows in any order, and an open row older than a closed
one blocks every later check-in: so a badge that comes late is fitted in, or refused by us.
Badges of members and of nobody change no attendance: the bridge records them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bridge.effects import Shop, record, when
from bridge.ledger import Fact
from bridge.odoo import Odoo, to_odoo
from bridge.profile import AttendanceNames
from bridge.wire import Final, Rejected
from mqtt.messages import BadgeData, Message, Who

NEEDS = ("attendance",)


class Passage(NamedTuple):
    """An employee's badge. `at` as Odoo writes it."""

    fact: str
    employee: int
    at: str


class Change(NamedTuple):
    """What a badge changes in Odoo. No `row`: a new one."""

    row: int | None
    values: dict[str, str]


async def apply(shop: Shop, fact: Fact, data: Message) -> Mapping[str, Any] | None:
    employee = _employee(data)
    if employee is None:
        return await record.apply(shop, fact, data)
    await bring(shop.odoo, _names(shop), [Passage(fact.id, employee, to_odoo(when(fact)))])
    return None


async def apply_batch(
    shop: Shop, facts: Sequence[tuple[Fact, Message]]
) -> Sequence[Mapping[str, Any] | None]:
    """Up to the first badge that depends on one before it, or whose time is not known."""
    passages: dict[int, Passage] = {}
    kept: list[Mapping[str, Any] | None] = []
    for fact, data in facts:
        employee = _employee(data)
        if employee is None:
            kept.append(await record.apply(shop, fact, data))
        elif fact.dated and employee not in passages:
            passages[employee] = Passage(fact.id, employee, to_odoo(fact.at))
            kept.append(None)
        else:
            break
    if passages:
        await bring(shop.odoo, _names(shop), list(passages.values()))
    return kept


def _employee(data: Message) -> int | None:
    match data:
        case BadgeData(who=Who(kind="employee", id=employee)):
            return employee
    return None


def _names(shop: Shop) -> AttendanceNames:
    assert shop.profile.attendance is not None  # NEEDS
    return shop.profile.attendance


async def bring(odoo: Odoo, names: AttendanceNames, passages: Sequence[Passage]) -> None:
    """Check each employee in, or out when they are in; one passage an employee.

    Raises `OdooError`; some may then have been brought, none twice.
    """
    rows = await _rows(odoo, names, passages)
    new: list[Passage] = []
    changed: dict[int, dict[str, str]] = {}
    for passage in passages:
        match _change(names, rows[passage.employee], passage.at):
            case Change(row=None):
                new.append(passage)
            case Change(row=int(row), values=values):
                changed[row] = values
    for row, values in changed.items():
        await odoo.call(names.model, "write", [row], values)
    if new:
        for passage, row in zip(new, await _load(odoo, names, new), strict=True):
            changed[row] = {names.check_in: passage.at}
    if changed:
        await _read_back(odoo, names, changed)


async def _rows(
    odoo: Odoo, names: AttendanceNames, passages: Sequence[Passage]
) -> dict[int, list[dict[str, Any]]]:
    """By employee, the rows that are open or reach up to the passage or beyond, in order."""
    begin, end = names.check_in, names.check_out
    when = {passage.employee: passage.at for passage in passages}
    since = min(when.values())
    found: dict[int, list[dict[str, Any]]] = {employee: [] for employee in when}
    for row in await odoo.call(
        names.model,
        "search_read",
        [[names.employee, "in", list(when)], "|", "|", [begin, ">=", since], [end, ">=", since],
         [end, "=", False]],
        fields=[names.employee, begin, end],
        order=begin,
    ):  # fmt: skip
        employee = row[names.employee][0]
        if not row[end] or max(row[begin], row[end]) >= when[employee]:
            found[employee].append(row)
    return found


def _change(names: AttendanceNames, rows: Sequence[dict[str, Any]], when: str) -> Change | None:
    """None: Odoo has it. Raises `Final` when it comes too late to be fitted in."""
    begin, end = names.check_in, names.check_out
    if any(when in (row[begin], row[end]) for row in rows):
        return None
    later = [row for row in rows if row[begin] > when or (row[end] and row[end] > when)]
    if later:
        if len(later) == 1 and not later[0][end]:
            # Another station was first with the way out: what began there ended there.
            return Change(later[0]["id"], {begin: when, end: later[0][begin]})
        raise Final(f"{names.model}: the badge is older than what Odoo has")
    if rows:
        return Change(rows[-1]["id"], {end: when})
    return Change(None, {begin: when})


async def _load(odoo: Odoo, names: AttendanceNames, passages: Sequence[Passage]) -> list[int]:
    """The rows made, or found under the facts' external ids; all of them or none."""
    answer = await odoo.call(
        names.model,
        "load",
        ["id", f"{names.employee}/.id", names.check_in],
        [[f"edged.{fact}", str(employee), at] for fact, employee, at in passages],
        # `load` takes times in the user's zone, all else takes UTC; and it does not find somebody
        # who was archived between the badge and now, but who came all the same.
        context={"tz": "UTC", "active_test": False},
    )
    ids: list[int] = answer["ids"] or []
    if len(ids) != len(passages):
        texts = "; ".join(str(message.get("message", "")) for message in answer["messages"])
        raise Rejected(f"{names.model}.load: refused", texts)
    return ids


async def _read_back(
    odoo: Odoo, names: AttendanceNames, changed: Mapping[int, Mapping[str, str]]
) -> None:
    """Some servers answer true and keep nothing, or something else."""
    fields = [names.check_in, names.check_out]
    kept = {row["id"]: row for row in await odoo.call(names.model, "read", list(changed), fields)}
    for number, values in changed.items():
        if number not in kept or any(kept[number][field] != values[field] for field in values):
            raise Final(f"{names.model}: not kept")
