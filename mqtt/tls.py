"""TLS for every connection that edged makes: to brokers and to Odoo.

The one rule: no other module makes a TLS context. A server is believed only when its certificate
leads to an authority that is trusted here and names the host that was asked for.
"""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_MARKS = {"certificate": "CERTIFICATE-----", "private key": "PRIVATE KEY-----"}
"""How the first line of each ends in PEM form."""
_REMEDIES = {
    "ca": "Put the authority's certificate there",
    "cert": "Put this client's certificate there",
    "key": "Put the private key that was made with cert there",
}


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form: an authority to trust besides the system's, and this client's own
    certificate with its key.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For a client: TLS 1.2 or later. Raises OSError, with a sentence for each file that cannot
        be used.

        Reading the system's authorities takes some 30 ms, on a Raspberry Pi more: not for an
        event loop's thread.
        """
        try:
            return self._loaded()
        except OSError as error:  # OpenSSL does not tell which file it means
            told = " ".join(f"{key}: {sentence}" for key, sentence in self.mistakes())
            raise OSError(told or str(error)) from error

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # From Python 3.13 on this is set, and refuses every authority made as mosquitto-tls(7)
        # says, because it names no key usage. Signatures, dates and names are checked all the same.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        if self.cert is not None:
            # Without a passphrase given here, OpenSSL would ask for one at the terminal.
            context.load_cert_chain(self.cert, self.key, password="")
        return context

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Why the files cannot be used: which of ``ca``, ``cert`` and ``key``, and a sentence with
        the remedy. Nothing of what is in them is shown.
        """
        named = {"ca": self.ca, "cert": self.cert, "key": self.key}
        readable = True
        for name, path in named.items():
            if path is not None and (why := _unusable(name, path)):
                readable = False
                yield name, f"{path}{why}."
        if not readable:
            return
        if self.ca is not None and (why := _untrustworthy(self.ca)):
            yield "ca", f"{self.ca} {why}. Put a new one there."
        if self.cert is not None and self.key is not None:
            yield from _unfit(self.cert, self.key)


def _unusable(name: str, path: Path) -> str:
    """What is wrong with one file as far as its text shows it."""
    try:
        text = path.read_text("ascii", errors="replace")
    except FileNotFoundError:
        return f": no such file. {_REMEDIES[name]}"
    except OSError as error:
        return f" cannot be read: {error.strerror}. It must be a file that edged's user can read"
    held = [what for what, mark in _MARKS.items() if mark in text]
    wanted = "private key" if name == "key" else "certificate"
    if wanted not in held:
        found = f"a {held[0]}, and no {wanted}" if held else f"no {wanted} in PEM form"
        return f" holds {found}. {_REMEDIES[name]}"
    if name == "key" and "ENCRYPTED" in text:
        unlock = f"openssl pkey -in {path} -out NEW"
        return f" is locked with a passphrase, which a service cannot type: `{unlock}` unlocks it"
    return ""


def _untrustworthy(ca: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError:
        return "holds a certificate that is damaged"
    ends = [
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
        for certificate in context.get_ca_certs()
    ]
    if ends and max(ends) < datetime.now(UTC):  # of several, one that is valid will do
        return f"ended on {max(ends):%Y-%m-%d}"
    return ""


def _unfit(cert: Path, key: Path) -> Iterator[tuple[str, str]]:
    try:
        Tls(cert=cert, key=key)._loaded()
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield "key", f"{key} is not the key of {cert}. {_REMEDIES['key']}."
        else:
            yield "cert", f"{cert} holds a certificate that is damaged, or {key} a key that is."
