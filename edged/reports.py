"""What this station says about itself: state, each device's health, readings that are asked for.

The one rule: only the newest counts. Nothing here is queued or kept; after a gap the retained
topics are simply said again.
"""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from devices import Device
from devices.health import Health
from mqtt.link import Outgoing, Session
from mqtt.messages import DeviceHealth, StationState, WeightValue
from mqtt.topics import StationTopics
from scale import Scale, Weight
from store.outbox import Outbox

VALUE_INTERVAL_S = 0.05
"""At most 20 readings a second for each scale; the newest always gets through."""
VALUE_EXPIRY_S = 10


class Reports:
    """One for the daemon's life; `run` once a connection."""

    def __init__(
        self,
        topics: StationTopics,
        devices: Mapping[str, Device],
        values: tuple[str, ...],
        *,
        build: str,
        outbox: Outbox,
    ) -> None:
        self._topics = topics
        self._devices = devices
        self._values = values
        self._build = build
        self._outbox = outbox
        self._since = datetime.now(UTC)
        self._birth = 0
        self._session: Session | None = None

    def will(self) -> Outgoing:
        """A new connection's last will, and with it the connection's birth number."""
        self._birth = max(self._birth + 1, time.time_ns() // 1_000_000)
        return self._state(online=False)

    async def say_state(self) -> None:
        if self._session is not None:
            await self._session.publish(self._state(online=True))

    async def run(self, session: Session) -> None:
        """Publish until the connection ends (`mqtt.link.Gone`)."""
        self._session = session
        try:
            await self.say_state()
            async with asyncio.TaskGroup() as group:
                for device in self._devices.values():
                    group.create_task(self._health(session, device))
                    if device.name in self._values and isinstance(device, Scale):
                        group.create_task(self._weight(session, device))
                await self._tell_epochs()
        finally:
            self._session = None

    async def _tell_epochs(self) -> None:
        """Say the state again when an epoch begins, and when the bridge has forgotten one."""
        told = self._outbox.untold.get()
        async for count in self._outbox.untold.changes():
            if count != told:
                told = count
                await self.say_state()

    def _state(self, *, online: bool) -> Outgoing:
        state = StationState(
            online=online,
            birth=self._birth,
            build=self._build,
            since=self._since,
            epochs=self._outbox.kept(),
        )
        return Outgoing(self._topics.state, state.model_dump_json().encode(), retain=True)

    async def _health(self, session: Session, device: Device) -> None:
        async for health in device.health.changes():
            body = _health_message(health).model_dump_json().encode()
            await session.publish(Outgoing(self._topics.health(device.name), body, retain=True))

    async def _weight(self, session: Session, scale: Scale) -> None:
        topic = self._topics.value(scale.name)
        async for weight in scale.reading.changes():
            body = _weight_message(weight).model_dump_json().encode()
            await session.publish(Outgoing(topic, body, qos=0, expiry=VALUE_EXPIRY_S))
            await asyncio.sleep(VALUE_INTERVAL_S)


def _health_message(health: Health) -> DeviceHealth:
    return DeviceHealth(
        state=health.state.value,
        key=health.key,
        params=dict(health.params),
        since=health.since,
    )


def _weight_message(weight: Weight | None) -> WeightValue:
    if weight is None:
        return WeightValue(at=datetime.now(UTC), value=None, unit=None)
    age = timedelta(seconds=time.monotonic() - weight.at)
    return WeightValue(
        at=datetime.now(UTC) - age,
        value=None if weight.value is None else str(weight.value),
        unit=weight.unit,
        stable=weight.stable,
        net=weight.net,
        over=weight.over,
        under=weight.under,
    )
