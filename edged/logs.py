"""How the daemon logs: one line a happening to standard error, which systemd keeps.

The one rule: a log line names tasks and devices, never a badge, a person or a secret.
"""

import logging
import os
import sys


def set_up(*, verbose: bool) -> None:
    """Log at INFO, or DEBUG when asked; without time stamps where journald adds its own."""
    under_journald = "JOURNAL_STREAM" in os.environ
    layout = "%(levelname)s %(name)s: %(message)s"
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format=layout if under_journald else "%(asctime)s " + layout,
    )
    # These tell every request and every frame, which may name a member's page or a photo.
    for chatty in ("uvicorn", "httpx2", "httpcore2", "asyncio", "PIL", "multipart"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def quiet() -> None:
    """For commands that answer on standard output: nothing but errors besides."""
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(message)s")
