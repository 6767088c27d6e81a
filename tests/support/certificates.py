"""Certificates for tests: an authority as mosquitto-tls(7) makes one, and what it signs.

Its CA names no key usage: Python 3.13 calls such a CA malformed (VERIFY_X509_STRICT), older ones
take it. `strict_by_default` gives an older Python the defaults of 3.13.
"""

import ssl
import subprocess
from pathlib import Path

import pytest

_EC = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


def openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], check=True, cwd=folder, capture_output=True)


def authority(folder: Path, *names: str) -> None:
    """A CA and, signed by it, a certificate and key for each name (for 127.0.0.1 and clients)."""
    folder.mkdir(exist_ok=True)
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    own = "-keyout ca.key -out ca.crt -subj /CN=ca"
    openssl(folder, f"req -new -x509 {_EC} -extensions v3_ca {own}")
    for name in names:
        openssl(folder, f"req {_EC} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        openssl(
            folder,
            f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile san"
            f" -out {name}.crt",
        )


def strict_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `ssl.create_default_context` does from Python 3.13 on."""
    usual = ssl.create_default_context

    def strict(*args: object, **kwargs: object) -> ssl.SSLContext:
        context = usual(*args, **kwargs)  # type: ignore[arg-type]
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)


def of_server(folder: Path) -> ssl.SSLContext:
    """For a TLS server with the certificate `server` of that folder's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context
