"""From a kept portrait to the person's file in Odoo.

The one rule: a photo counts as written when it was read back. Odoo keeps a JPEG of up to 1920
pixels byte for byte and scales a larger one; an older server says true and keeps nothing.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from bridge.effects import Shop
from bridge.ledger import Fact
from bridge.odoo import Odoo
from bridge.profile import People
from bridge.wire import Final, Rejected
from mqtt.messages import Message, PhotoData

NEEDS = ()


async def apply(shop: Shop, fact: Fact, data: Message) -> Mapping[str, Any] | None:
    if not isinstance(data, PhotoData):
        raise Final(f"the profile: the effect image is not for {fact.kind}")
    names = shop.profile.member if data.who.kind == "member" else shop.profile.employee
    if names is None or not names.photo:
        raise Final(f"the profile: no field for photos ({data.who.kind})")
    content = await shop.blob(fact.id, data.sha256, data.size)
    if content is None:
        # A station that is asked for old facts again has let go of the photos Odoo has.
        if await there(shop.odoo, names, data.who.id, data.sha256):
            return None
        raise Final("the photo itself did not come")
    await write(shop.odoo, names, data.who.id, content)
    return None


async def there(odoo: Odoo, names: People, person: int, sha256: str) -> bool:
    """Whether the person's photo is this one already. Raises `OdooError`."""
    before = await _read(odoo, names, person)
    return before is not None and before.hex() == sha256


async def write(odoo: Odoo, names: People, person: int, photo: bytes) -> None:
    """Put `photo` (JPEG) on a person, unless it is there. Raises `OdooError`."""
    wanted = hashlib.sha256(photo).digest()
    before = await _read(odoo, names, person)
    if before == wanted:
        return
    encoded = base64.b64encode(photo).decode()
    await odoo.call(names.model, "write", [person], {names.photo: encoded})
    after = await _read(odoo, names, person)
    if after is None or after == before:
        raise Rejected(f"{names.model}.write: the photo was not kept")


async def _read(odoo: Odoo, names: People, person: int) -> bytes | None:
    """The digest of the photo that is there."""
    rows = await odoo.call(names.model, "read", [person], [names.photo])
    if not rows:
        raise Final(f"{names.model}.read: no such person")
    content = rows[0].get(names.photo)
    if not content:
        return None
    try:
        return hashlib.sha256(base64.b64decode(content, validate=True)).digest()
    except (binascii.Error, ValueError):
        raise Rejected(f"{names.model}.read: the photo is not base64") from None
