"""Keys and passwords: from files, never from the configuration or the command line.

The one rule: nothing but a secret's path is ever shown, and only where it cannot be the secret.
"""

import os
import secrets
from pathlib import Path

from durable.files import make_folder, write_whole

KEY_BYTES = 32


class SecretError(Exception):
    """A secret cannot be had; the message names its file and says what to do."""


def read_secret(path: Path, *, where: str = "") -> str:
    """A secret's file, stripped. A relative path is sought among systemd's credentials first
    (``$CREDENTIALS_DIRECTORY``, systemd.exec(5)). Raises `SecretError`; `where` is the table and
    the key that named the file.
    """
    place = f"{where}: " if where else ""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        if credentials and not path.is_absolute() and (Path(credentials) / path).exists():
            path = Path(credentials) / path
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        if not path.is_absolute():  # it may be the secret itself, by mistake
            raise SecretError(
                f"{place}no such credential and no such file. "
                "Name the file that holds the secret, never the secret itself."
            ) from None
        raise SecretError(
            f"{place}{path}: no such file. Write the secret into it, mode 0600."
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not text"
        shown = path if path.is_absolute() else "the file"
        raise SecretError(f"{place}{shown} cannot be read: {why}") from None


def mqtt_password(path: Path | None) -> str | None:
    """The broker's password, if a file is named for it. Raises `SecretError`."""
    return None if path is None else read_secret(path, where="[mqtt] password_file")


def read_badge_key(path: Path, *, where: str = "") -> bytes:
    """The key that hashes a shop's badge numbers (`mqtt.identity`). Raises `SecretError`."""
    try:
        key = bytes.fromhex(read_secret(path, where=where))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        place = f"{where}: " if where else ""
        raise SecretError(
            f"{place}{path} must hold 64 hex digits, such as `openssl rand -hex 32` gives"
        )
    return key


def make_badge_key(path: Path) -> None:
    """Write a new key, for its owner's eyes only; leave one that is there. Raises OSError.

    The key appears whole and for good, or not at all: half a key, or another one after a power
    cut, would make strangers of all members.
    """
    make_folder(path.parent)
    if os.path.lexists(path):  # a link may lead to a stick that is not plugged in
        return
    write_whole(path, f"{secrets.token_hex(KEY_BYTES)}\n".encode())
