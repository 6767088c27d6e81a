"""Keys and passwords from files: never from the TOML, the command line or the environment's log.

The one rule: a secret's file is readable by its owner only, and nothing but its path is ever shown.
"""

import os
import secrets
from pathlib import Path


def read_secret(path: Path) -> str:
    """A password's file without its line end. A relative path is looked up among systemd's
    credentials first (`$CREDENTIALS_DIRECTORY`, systemd.exec(5)). Raises OSError.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and not path.is_absolute() and (Path(credentials) / path).exists():
        path = Path(credentials) / path
    return path.read_text(encoding="utf-8").strip()


def badge_key(path: Path, *, may_make: bool) -> bytes:
    """The site's key for badge hashes: 64 hex digits in a file, made with mode 0600 if missing.

    Raises OSError, and ValueError when the file holds something else.
    """
    if may_make and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    try:
        key = bytes.fromhex(read_secret(path))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError(
            f"{path} must hold 64 hex digits, as `edged run` or `openssl rand -hex 32` makes"
        )
    return key
