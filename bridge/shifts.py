"""When members' next shifts begin, for the sentence on the entrance's screen.

The one rule: only what is still to come is told; a shift under way is a volunteer's matter.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from bridge.odoo import Odoo, from_odoo, to_odoo
from bridge.profile import NextShiftNames


async def next_shifts(
    odoo: Odoo, names: NextShiftNames, people: Collection[int] | None = None
) -> dict[int, datetime]:
    """Person → begin (UTC) of the earliest shift; of everybody, or of `people`.

    Raises `OdooError`.
    """
    domain = [*names.domain, [names.at, ">=", to_odoo(datetime.now(UTC))]]
    if people is not None:
        domain.append([names.person, "in", list(people)])
    first: dict[int, datetime] = {}
    async for row in odoo.rows(names.model, domain, [names.person, names.at]):
        person = row[names.person]
        if isinstance(person, list):  # a many2one: [id, name]; False is nobody's
            person = person[0]
        if person:
            at = from_odoo(row[names.at])
            first[person] = min(at, first.get(person, at))
    return first
