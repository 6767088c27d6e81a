"""Kept by the bridge itself, for `keep_days`; Odoo hears nothing of it.

The one rule: what is kept is what the station told, unchanged.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.effects import Shop
from bridge.ledger import Fact
from mqtt.messages import Message

NEEDS = ()


async def apply(_shop: Shop, fact: Fact, _data: Message) -> Mapping[str, Any] | None:
    return fact.envelope.data


async def apply_batch(
    _shop: Shop, facts: Sequence[tuple[Fact, Message]]
) -> Sequence[Mapping[str, Any] | None]:
    return [fact.envelope.data for fact, _ in facts]
