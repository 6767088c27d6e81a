"""``sim://NAME?key=value``: a simulated device where a port's address stands.

The one rule: what opens such a port meets a real pty or a real TCP port, as with a real device.
"""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pydantic import TypeAdapter, ValidationError

from devices.errors import Broken, Refused, why
from devices.registry import load_simulator
from devices.simulate import PtyHost, Simulator, TcpHost


@asynccontextmanager
async def simulated(url: str) -> AsyncIterator[str]:
    """Plug in the simulator of a ``sim://NAME?key=value`` URL; gives the URL it is at."""
    parts = urlsplit(url)
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    via = settings.pop("via", "pty")
    kind = load_simulator(parts.netloc)
    try:
        simulator = kind()
    except Exception as error:
        raise Broken(parts.netloc, why(error)) from error
    if not hasattr(simulator, "feed"):  # it plays no line: a camera with a server of its own, keys
        raise Refused("device.port_invalid", path=url)
    for key, text in settings.items():
        _set(simulator, key, text, url)
    if via == "tcp":
        async with TcpHost(simulator) as tcp:
            yield f"socket://127.0.0.1:{tcp.port}"
    elif via == "pty":
        with tempfile.TemporaryDirectory(prefix="edged-sim-") as folder:
            async with PtyHost(Path(folder) / parts.netloc, simulator) as pty:
                yield str(pty.path)
    else:
        raise Refused("device.port_invalid", path=url)


def _set(simulator: Simulator, key: str, text: str, url: str) -> None:
    """Set an attribute that exists already, in the type it has."""
    current = getattr(simulator, key, None)
    if key.startswith("_") or current is None or callable(current):
        raise Refused("device.port_invalid", path=url)
    try:
        value = TypeAdapter(type(current)).validate_strings(text)
    except ValidationError as error:
        raise Refused("device.port_invalid", path=url) from error
    setattr(simulator, key, value)
