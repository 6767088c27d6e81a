"""What the bridge says of itself: counts and keys for a log line or a page, never a name."""

from collections.abc import Iterable
from typing import Any

from bridge.inbox import Inbox
from bridge.site import Site
from durable.thread import OneThread


async def status(inbox: Inbox, thread: OneThread, sites: Iterable[Site]) -> dict[str, Any]:
    """Per site: `facts` (`Inbox.counts`) and `Site.status`."""
    told = {}
    for site in sites:
        facts = await thread(inbox.counts, site.name)
        told[site.name] = {"facts": facts, **site.status()}
    return told
