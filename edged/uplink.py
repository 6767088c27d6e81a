"""Everything that crosses the broker, from the station's side.

The one rule: the station owes the network nothing. Whatever happens here, screens and devices go
on; what could not be sent waits in the outbox.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from devices import Device, Value
from edged import onebox
from edged.build import BUILD
from edged.config import Config, MqttTable
from edged.delivery import Delivery
from edged.downlink import Downlink
from edged.reports import Reports
from edged.sync import Sync
from mqtt.link import Address, Link, LinkState, NotAllowed, Session
from mqtt.secrets import mqtt_password
from mqtt.topics import StationTopics
from store import Store

log = logging.getLogger(__name__)

REFUSED_WAIT_S = 60.0
ALIVE_S = 2.0


def _nobody() -> None:
    """Nobody watches this uplink."""


class Uplink:
    """One for the daemon's life. Raises `mqtt.secrets.SecretError` when it is made."""

    def __init__(
        self, config: Config, mqtt: MqttTable, store: Store, devices: Mapping[str, Device]
    ) -> None:
        self._config = config
        self._mqtt = mqtt
        self._addresses = mqtt.addresses(password=mqtt_password(mqtt.password_file))
        topics = StationTopics(mqtt.root, config.station.site, config.station.name)
        # No slash, of which rumqttd dies, and nothing that a name may hold: no two are alike.
        self._client_id = f"{config.station.site}_{config.station.name}"
        self.state: Value[LinkState] = Value(LinkState(up=False, key="link.connecting"))
        self.bridge_seen: Value[datetime | None] = Value(None)
        self._alive = _nobody
        self._held = False
        self._delivery = Delivery(store.outbox, topics)
        self._reports = Reports(
            topics,
            devices,
            tuple(mqtt.values),
            build=BUILD,
            outbox=store.outbox,
        )
        self._sync = Sync(store, topics, self._delivery.idle)
        self._downlink = Downlink(
            topics, self._sync, self._delivery, devices, self._reports.say_state, self.bridge_seen
        )

    @property
    def trouble(self) -> Value[str]:
        """Catalogue key of what keeps facts here although the link is up; "" for nothing."""
        return self._delivery.trouble

    async def run(self, alive: Callable[[], None] = _nobody) -> None:
        """Hold the link until cancelled. `alive` is called every few seconds meanwhile."""
        self._alive = alive
        if self._mqtt.broker is None:
            await self._hold(self._addresses)
            return
        bridge = self._config.bridge.config if self._config.bridge else None
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wait_for_broker())
            await onebox.run(self._config.station.data / "broker", bridge, self._hold)

    async def _wait_for_broker(self) -> None:
        """A private broker that does not start is a neighbour's trouble, not the link's."""
        while True:
            if not self._held:
                self._alive()
            await asyncio.sleep(ALIVE_S)

    async def _hold(self, addresses: list[Address]) -> None:
        self._held = True
        try:
            link = Link(
                addresses, client_id=self._client_id, will=self._reports.will, alive=self._alive
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell(link))
                group.create_task(link.run(self._converse))
        finally:
            self._held = False

    async def _tell(self, link: Link) -> None:
        async for state in link.state.changes():
            self.state.set(state)

    async def _converse(self, session: Session) -> None:
        try:
            await session.subscribe(*self._downlink.filters)
        except NotAllowed as error:
            # An ACL that a person must correct: without the bridge's word nothing can be let go.
            log.error("the broker refuses this station's topics: %s", error)  # noqa: TRY400
            self._delivery.trouble.set("link.topics_refused")
            await asyncio.sleep(REFUSED_WAIT_S)
            return
        self._delivery.trouble.set("")
        self._delivery.idle.set(False)  # until the outbox was looked at on this connection
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports.run(session))
            group.create_task(self._downlink.run(session))
            group.create_task(self._delivery.run(session))
            group.create_task(self._sync.run(session))
