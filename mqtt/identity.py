"""How a badge number becomes the only form of it that is stored or sent.

The one rule: numbers live in the reader and in Odoo; between them travels this hash. Its key is
the site's, shared by the shop's stations and its bridge, so that a stolen card of one shop says
nothing about another and a broker's log nothing at all.
"""

import hashlib
import hmac


def badge_hash(key: bytes, number: str) -> str:
    """The first 128 bits of HMAC-SHA-256, as 32 lower-case hex digits."""
    return hmac.new(key, number.encode(), hashlib.sha256).hexdigest()[:32]


def shard_of(badge: str) -> str:
    """The directory shard (of 256) that a badge hash belongs to."""
    return badge[:2]
