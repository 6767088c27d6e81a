"""What the bridge says of itself: counts and keys for a log line or a page, never a name."""

from collections.abc import Iterable
from typing import Any

from bridge.inbox import Inbox
from bridge.site import Site


async def status(inbox: Inbox, sites: Iterable[Site]) -> dict[str, Any]:
    """Per site: `facts` (`Inbox.counts`) and `Site.status`."""
    return {site.name: {"facts": await inbox.counts(site.name), **site.status()} for site in sites}
