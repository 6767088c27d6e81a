"""TLS: one context for all, and files that cannot be used told with their remedy."""

import re
import ssl
from pathlib import Path

import pytest
from support.certificates import authority, openssl, strict_by_default
from support.source import names_used

from mqtt.tls import Tls

ROOT = Path(__file__).parents[2]
PRODUCT = ("edged", "kiosk", "bridge", "mqtt", "store", "durable", "devices", "printer", "camera")


def test_nothing_is_weakened_but_the_form_of_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict_by_default(monkeypatch)
    authority(tmp_path)
    usual, ours = ssl.create_default_context(), Tls(tmp_path / "ca.crt").context()
    assert ours.check_hostname
    assert ours.verify_mode is ssl.CERT_REQUIRED
    assert ours.minimum_version is ssl.TLSVersion.TLSv1_2
    assert ours.options == usual.options
    assert usual.verify_flags & ~ours.verify_flags == ssl.VERIFY_X509_STRICT


def test_contexts_are_made_in_one_place() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for package in PRODUCT
        for path in (ROOT / package).rglob("*.py")
        if names_used(path) & {"create_default_context", "SSLContext", "load_cert_chain"}
    }
    assert makers == {"mqtt/tls.py"}


ENDED = """\
-----BEGIN CERTIFICATE-----
MIIBRDCB66ADAgECAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNVBAMMB0xhIENvb3Aw
HhcNMTkwMTAxMDAwMDAwWhcNMjAwMTAxMDAwMDAwWjASMRAwDgYDVQQDDAdMYSBD
b29wMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMzYkG1zuiRklmQtXEqgkucx1
DCXm4l2tAHWkpE7C+nvmohbxR1mb0+BRYw9eCWNkS/iJM3+aZFhlkdeaTUkid6My
MDAwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUh6axNdC7r605MiU9KYw7Do/Z
+qYwCgYIKoZIzj0EAwIDSAAwRQIgL0T613x6Bgkg/nQihRMjxfpnCL0oeRJPWESX
0JyKPUkCIQDhGENRGBJvCmyAuR7her0iPCwmZ09p37nUc9vhEhxGaA==
-----END CERTIFICATE-----
"""
"""An authority's, of the year 2019: openssl x509 makes none that has ended already."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    authority(folder, "station", "other")
    openssl(folder, "pkey -in station.key -aes256 -passout pass:secret -out locked.key")
    openssl(folder, "x509 -in ca.crt -outform DER -out ca.der")
    (folder / "ended.crt").write_text(ENDED)
    (folder / "garbage.crt").write_text(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    (folder / "folder").mkdir()
    return folder


def test_of_several_authorities_one_that_is_valid_will_do(pki: Path) -> None:
    bundle = pki / "bundle.crt"
    bundle.write_text((pki / "ended.crt").read_text() + (pki / "ca.crt").read_text())
    assert not list(Tls(bundle).mistakes())
    bundle.write_text((pki / "ended.crt").read_text() * 2)
    assert [key for key, _ in Tls(bundle).mistakes()] == ["ca"]


def test_files_that_fit_are_not_complained_about(pki: Path) -> None:
    assert not list(Tls().mistakes())
    assert not list(Tls(pki / "ca.crt", pki / "station.crt", pki / "station.key").mistakes())


@pytest.mark.parametrize(
    ("ca", "cert", "key", "told"),
    [
        ("none", None, None, {"ca": "/none: no such file. Put the authority's certificate there"}),
        ("folder", None, None, {"ca": "/folder cannot be read: Is a directory"}),
        ("ca.key", None, None, {"ca": "/ca.key holds a private key, and no certificate"}),
        ("ca.der", None, None, {"ca": "/ca.der holds no certificate in PEM form"}),
        ("garbage.crt", None, None, {"ca": "/garbage.crt holds a certificate that is damaged"}),
        ("ended.crt", None, None, {"ca": "/ended.crt ended on 2020-01-01. Put a new one there"}),
        ("ca.crt", "none", "none", {"cert": "/none: no such file", "key": "/none: no such file"}),
        ("ca.crt", "station.key", "station.key", {"cert": "holds a private key, and no certif"}),
        ("ca.crt", "station.crt", "station.crt", {"key": "holds a certificate, and no private"}),
        ("ca.crt", "station.crt", "other.key", {"key": "/other.key is not the key of .*/station"}),
        ("ca.crt", "station.crt", "locked.key", {"key": "is locked with a passphrase.*openssl"}),
        (None, "garbage.crt", "station.key", {"cert": "garbage.crt holds a certificate that is"}),
    ],
)
def test_files_that_cannot_be_used_are_told_with_their_remedy(
    pki: Path, ca: str | None, cert: str | None, key: str | None, told: dict[str, str]
) -> None:
    paths = [pki / name if name else None for name in (ca, cert, key)]
    mistakes = dict(Tls(*paths).mistakes())
    assert mistakes.keys() == told.keys()
    for name, words in told.items():
        assert re.search(words, mistakes[name]), mistakes[name]
        assert mistakes[name].endswith("."), mistakes[name]


def test_a_locked_key_is_an_error_and_no_question(pki: Path) -> None:
    """A service has nobody to ask: it would wait for ever at a terminal."""
    with pytest.raises(OSError, match=r"key: .*/locked\.key is locked with a passphrase"):
        Tls(None, pki / "station.crt", pki / "locked.key").context()
