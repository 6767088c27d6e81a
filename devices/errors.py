"""Why a device stopped: three words that decide what the supervisor does next.

The one rule: a driver never sleeps, retries or logs a fault itself. It raises one of these and
`devices.keep` acts. Each carries a message key (the sentence stands in the kiosk's catalogues)
and the values that sentence names.
"""


class DeviceError(Exception):
    """A device cannot go on. `key` is a catalogue key such as ``device.silent``."""

    def __init__(self, key: str, **params: str) -> None:
        details = " ".join(f"{name}={value}" for name, value in params.items())
        super().__init__(f"{key} {details}".rstrip())
        self.key = key
        self.params = params


class Absent(DeviceError):
    """Not plugged in. Wait for it (`Device.plugged`), without limit and without noise."""


class Lost(DeviceError):
    """It was there. Back off 0.25, 1, 5, 30 s and try again."""


class Refused(DeviceError):
    """Needs a person (permission, wrong setting, missing library). Stop until they act."""
