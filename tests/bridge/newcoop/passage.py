"""A member's badge is a passage, which this Odoo keeps in a model of its own.

The one rule: the fact's id is the row's external id, so that a passage is there once.
"""

from collections.abc import Mapping
from typing import Any

from bridge.effects import Shop, record, when
from bridge.ledger import Fact
from bridge.odoo import to_odoo
from bridge.wire import Rejected
from mqtt.messages import BadgeData, Message, Who

NEEDS = ("member",)


async def apply(shop: Shop, fact: Fact, data: Message) -> Mapping[str, Any] | None:
    match data:
        case BadgeData(who=Who(kind="member", id=member)):
            row = [f"edged.{fact.id}", str(member), to_odoo(when(fact))]
            answer = await shop.odoo.call(
                "newcoop.passage", "load", ["id", "partner_id/.id", "at"], [row],
                context={"tz": "UTC"},
            )  # fmt: skip
            if not answer["ids"]:
                raise Rejected("newcoop.passage.load: refused", str(answer["messages"]))
            return None
    return await record.apply(shop, fact, data)
