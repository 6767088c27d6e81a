"""From an employee's badge to a row of hr.attendance.

The one rule: whatever happens between us and Odoo, one badge changes the attendances once. The time
of the badge is the key: a row that begins or ends at that very second says that Odoo has it. A new
row also carries the fact's external id, so that two attempts under way at once cannot make two.

The server checks no terminal's clock, takes rows in any order, and an open row older than a closed
one blocks every later check-in: so a badge that comes late is fitted in, or refused by us.
Badges of members and of nobody change no attendance: the bridge records them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bridge.effects import Shop, record, when
from bridge.ledger import Fact
from bridge.odoo import Odoo, to_odoo
from bridge.profile import AttendanceNames
from bridge.wire import Final, Rejected
from mqtt.messages import BadgeData, Message, Who

NEEDS = ("attendance",)


async def apply(shop: Shop, fact: Fact, data: Message) -> Mapping[str, Any] | None:
    match data:
        case BadgeData(who=Who(kind="employee", id=employee)):
            assert shop.profile.attendance is not None  # NEEDS
            await badge(shop.odoo, shop.profile.attendance, fact.id, employee, when(fact))
            return None
    return await record.apply(shop, fact, data)


async def badge(
    odoo: Odoo, names: AttendanceNames, fact_id: str, employee: int, at: datetime
) -> None:
    """Check the employee in, or out when they are in. Raises `OdooError`."""
    when = to_odoo(at)
    begin, end = names.check_in, names.check_out
    rows = await odoo.call(
        names.model,
        "search_read",
        [[names.employee, "=", employee], "|", "|", [begin, ">=", when], [end, ">=", when],
         [end, "=", False]],
        fields=[begin, end],
        order=begin,
    )  # fmt: skip
    if any(when in (row[begin], row[end]) for row in rows):
        return
    later = [row for row in rows if row[begin] > when or (row[end] and row[end] > when)]
    if later:
        if len(later) == 1 and not later[0][end]:
            # Another station was first with the way out: what began there ended there.
            await _write(odoo, names, later[0]["id"], {begin: when, end: later[0][begin]})
            return
        raise Final(f"{names.model}: the badge is older than what Odoo has")
    if rows:
        await _write(odoo, names, rows[-1]["id"], {end: when})
        return
    answer = await odoo.call(
        names.model,
        "load",
        ["id", f"{names.employee}/.id", begin],
        [[f"edged.{fact_id}", str(employee), when]],
        context={"tz": "UTC"},  # `load` takes times in the user's zone, all else takes UTC
    )
    if not answer["ids"]:
        texts = "; ".join(str(message.get("message", "")) for message in answer["messages"])
        raise Rejected(f"{names.model}.load: refused", texts)
    await _read_back(odoo, names, answer["ids"][0], {begin: when})


async def _write(odoo: Odoo, names: AttendanceNames, row: int, values: dict[str, Any]) -> None:
    """Write and read back: some servers answer true and keep nothing, or something else."""
    await odoo.call(names.model, "write", [row], values)
    await _read_back(odoo, names, row, values)


async def _read_back(odoo: Odoo, names: AttendanceNames, row: int, values: dict[str, Any]) -> None:
    kept = await odoo.call(names.model, "read", [row], list(values))
    if not kept or any(kept[0][field] != value for field, value in values.items()):
        raise Final(f"{names.model}: not kept")
