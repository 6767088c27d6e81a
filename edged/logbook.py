"""What a technician finds afterwards: devices and links that went down and came back.

The one rule: the change, not the state. A cable that is loose writes two lines each time, a device
that stays away writes one. One that changes all the time writes some
lines a minute, the newest last.
"""

import asyncio
from collections.abc import Mapping

from devices import Device, Health, State, Value
from devices.seldom import Pace
from kiosk.station import Stall
from mqtt.link import LinkState
from store.journal import Journal, Level


class Logbook:
    """Writes to the store's journal, which the status page shows."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def keep(
        self,
        devices: Mapping[str, Device],
        link: Value[LinkState] | None,
        trouble: Value[str] | None,
    ) -> None:
        """Note every change until cancelled."""
        async with asyncio.TaskGroup() as group:
            for device in devices.values():
                group.create_task(self._device(device))
            if link is not None:
                group.create_task(self._link(link))
            if trouble is not None:
                group.create_task(self._trouble(trouble))

    async def _device(self, device: Device) -> None:
        before = Health()
        pace = Pace()
        async for health in device.health.changes():
            if (health.state, health.key) != (before.state, before.key) and self._note(
                device.name, before, health
            ):
                await pace.turn()
            before = health

    def _note(self, name: str, before: Health, health: Health) -> bool:
        """Whether it was worth a line."""
        if health.state is State.UP:
            if before.state is State.STARTING:
                return False  # coming up at the start is no news
            self._journal.add("info", "status.up", device=name)
        elif health.key:
            level: Level = "error" if health.state in (State.FAILING, State.REFUSED) else "warning"
            self._journal.add(level, health.key, health.params, device=name)
        return bool(health.key) or health.state is State.UP

    def note_stall(self, stall: Stall) -> None:
        """One of the devices held everything up."""
        params = {"seconds": f"{stall.seconds:g}", "where": stall.where}
        self._journal.add("error", "device.blocks", params, device=stall.device)

    async def _link(self, link: Value[LinkState]) -> None:
        before = link.get()
        async for state in link.changes():
            if (state.up, state.key) != (before.up, before.key):
                self._journal.add("info" if state.up else "warning", state.key, state.params)
            before = state

    async def _trouble(self, trouble: Value[str]) -> None:
        async for key in trouble.changes():
            if key:
                self._journal.add("error", key)
