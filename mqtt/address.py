"""Where a broker is and how to be let in.

The one rule: a password never appears in a repr, a log line or an error; `str(address)` is what
may be shown.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from mqtt.tls import Tls

Version = Literal["5", "3.1.1"]
PORTS = {"mqtt": 1883, "mqtts": 8883}
HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}")


@dataclass(frozen=True, slots=True)
class Address:
    """One broker. `version` 3.1.1 is for brokers that know no better: they cannot say no."""

    host: str
    port: int
    tls: Tls | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    version: Version = "5"

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        user: str | None = None,
        password: str | None = None,
        ca: Path | None = None,
        cert: Path | None = None,
        key: Path | None = None,
        version: Version = "5",
    ) -> Self:
        """Read ``mqtt://[user[:password]@]host[:port]``, or ``mqtts://…`` for TLS.

        `user` and `password` go before those of the URL. Raises ValueError with a sentence that
        holds no secret.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # whose text may hold the password
            raise ValueError("A broker's address looks like mqtt://broker:1883") from None
        if parts.scheme not in PORTS:
            raise ValueError("A broker's address begins with mqtt:// or mqtts://")
        try:
            port = parts.port
        except ValueError:
            raise ValueError("A broker's port is a number from 1 to 65535") from None
        if port == 0:
            raise ValueError("A broker's port is a number from 1 to 65535")
        if not parts.hostname or not HOST.fullmatch(parts.hostname):
            raise ValueError("A broker's address needs the name of a machine, as in mqtt://broker")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("A broker's address ends after the machine and the port")
        secure = parts.scheme == "mqtts"
        if not secure and (ca or cert or key):
            raise ValueError("Certificates are for mqtts:// addresses")
        if (cert is None) != (key is None):
            raise ValueError("A client certificate needs its key, and the key its certificate")
        in_url = [unquote(part) if part else None for part in (parts.username, parts.password)]
        return cls(
            host=parts.hostname,
            port=port or PORTS[parts.scheme],
            tls=Tls(ca, cert, key) if secure else None,
            user=user if user is not None else in_url[0],
            password=password if password is not None else in_url[1],
            version=version,
        )

    @property
    def doubt(self) -> str:
        """A sentence where scheme and port hardly go together ("": they do)."""
        scheme, other = ("mqtts", "mqtt") if self.tls else ("mqtt", "mqtts")
        if self.port != PORTS[other]:
            return ""
        means = "with TLS" if self.tls else "without TLS"
        return (
            f"{self}: {scheme}:// is {means}, and brokers use port {self.port} for {other}://. "
            f"Write {other}://, or port {PORTS[scheme]}."
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"
