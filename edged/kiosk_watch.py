"""Keeps a kiosk's browser alive: starts it, and starts it again when its page is dead.

The one rule: a browser is ended only while the daemon answers and says that the page has been
silent. While the daemon is away the page says so itself, and another browser could do no more.

A page can die while its browser lives: its process is out of memory, its graphics driver hangs. So
the page says every few seconds that it is drawn (`kiosk.alive`), with a token that only the browser
started here knows, and the daemon is asked for the time since.

This runs for as long as the screen does, beside everything else on a small machine: standard
library only, and no asyncio.
"""

import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import mqtt

log = logging.getLogger(__name__)

ASK_S = 5.0
"""Between two questions to the daemon."""
ANSWER_S = 2.0
"""What an answer may take, to its last byte; a daemon that is slower counts as away."""
SILENT_S = 20.0
"""A page that says nothing for this long is dead; a living one speaks every 5 s."""
GRACE_S = 60.0
"""What a browser may take from its start to its page's first sign of life."""
LONGEST_GRACE_S = 32 * GRACE_S
_MISSED_S = ASK_S + ANSWER_S + 1
"""Between two answers, if a question in between had none."""
STOP_S = 5.0
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What ends the watch. SIGHUP: the screen's terminal was taken away."""
_LONGEST_ANSWER = 4096

HOST = "127.0.0.1"
TETHER = Path(mqtt.__file__).with_name("tether.py")

PREFERENCES = {
    # The command line's --disable-features=Translate does not close the offer to translate.
    "translate": {"enabled": False},
    "credentials_enable_service": False,
    "autofill": {"profile_enabled": False, "credit_card_enabled": False},
}
"""Of a new profile: nothing of the browser may lie over the page."""


class Signs:
    """What the daemon's answers tell about one browser's page. It knows no clock: times are given,
    in seconds of one monotonic clock.

    `grace`: seconds from `started` to the first sign of life.
    """

    def __init__(self, started: float, grace: float) -> None:
        self._started = started
        self._grace = grace
        self._alive: float | None = None
        self._asked = started
        self._answering_since = started

    @property
    def seen(self) -> bool:
        """Whether the page has ever been alive."""
        return self._alive is not None

    def answered(self, now: float, seconds: float | None) -> None:
        """The daemon says that the page was alive `seconds` ago; None: never."""
        # After a time without answers, also because this whole machine stood still, the page has
        # as long as ever to speak.
        if now - self._asked > _MISSED_S:
            self._answering_since = now
        self._asked = now
        if seconds is not None:
            self._alive = max(now - seconds, self._alive or self._started)

    @property
    def silence(self) -> float | None:
        """Seconds that a dead page had been silent for at the last answer; None: it is not dead."""
        alive = self._started if self._alive is None else self._alive
        silence = self._asked - max(alive, self._answering_since)
        waited = self.seen or self._asked - self._started > self._grace
        return silence if waited and silence > SILENT_S else None


def seconds_since_alive(port: int, token: str) -> float | None:
    """Ask the daemon on this port of the loopback when the page with this token was last alive.

    Seconds, or None if never. Raises OSError or ValueError without a good answer in `ANSWER_S`.
    """
    until = time.monotonic() + ANSWER_S
    answer = b""
    with socket.create_connection((HOST, port), timeout=ANSWER_S) as connection:
        # HTTP/1.0: the answer ends where the connection does.
        connection.sendall(f"GET /alive/{token} HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        while chunk := connection.recv(_LONGEST_ANSWER):
            answer += chunk
            left = until - time.monotonic()
            if left <= 0 or len(answer) > _LONGEST_ANSWER:
                raise ValueError("too slow or too long")
            connection.settimeout(left)
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ")[1:2] != [b"200"]:
        raise ValueError("not 200")
    try:
        seconds = json.loads(body)["seconds"]
        if seconds is None:
            return None
        if type(seconds) in (int, float) and 0 <= float(seconds) < float("inf"):
            return float(seconds)
    except (TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ValueError("not ours") from error
    raise ValueError("no time")


class Browser:
    """A browser that was started, and all that it started."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._end = os.pidfd_open(process.pid)

    def ended_within(self, seconds: float) -> bool:
        """Wait so long for it to end by itself."""
        return bool(select.select([self._end], [], [], seconds)[0])

    def stop(self) -> None:
        # A group of its own, because a session of PAM is outside the unit's control group, where
        # systemd would find what is left. Until it is reaped, the number is surely this group's.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self.ended_within(STOP_S)
        os.close(self._end)
        self._process.wait()


@contextmanager
def browsing(command: Sequence[str], address: str, token: str) -> Iterator[Browser]:
    """A browser with a new profile, whose page at `address` has `token`, for the length of a block.

    `command` is Chromium's command line, without profile and address. Raises OSError. `ENDS` that
    come while it is ended wait until nothing of it is left.
    """
    try:
        with _profile() as profile:
            # It dies with us also when we are killed: two browsers must not want one screen.
            tethered = [sys.executable, "-I", str(TETHER), str(os.getpid()), *command]
            own = [f"--user-data-dir={profile}", f"{address}#kiosk={token}"]
            browser = Browser(
                subprocess.Popen(tethered + own, stdin=subprocess.DEVNULL, process_group=0)
            )
            try:
                yield browser
            finally:
                signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
                browser.stop()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


@contextmanager
def _profile() -> Iterator[str]:
    """A folder for a browser's profile, removed afterwards."""
    # Made anew for each start: after a crash nothing is restored, and nothing asks about it.
    with TemporaryDirectory(
        prefix="profile-", dir=os.environ.get("RUNTIME_DIRECTORY"), ignore_cleanup_errors=True
    ) as profile:
        (Path(profile) / "Default").mkdir()
        (Path(profile) / "Default" / "Preferences").write_text(json.dumps(PREFERENCES), "utf-8")
        yield profile


def missing(command: Sequence[str]) -> str:
    """The first program of a command line that is not there ("": all are): its own, and the one
    that it is to run, behind ``--``.
    """
    behind = command.index("--") + 1 if "--" in command else len(command)
    programs = [*command[:1], *command[behind : behind + 1]]
    return next((program for program in programs if shutil.which(program) is None), "")


def in_front() -> bool:
    """Whether our virtual terminal is the one on the screen: behind another, nothing is drawn."""
    ours = os.environ.get("XDG_VTNR", "")
    try:
        front = Path("/sys/class/tty/tty0/active").read_text("ascii").strip()
    except OSError:  # no virtual terminals here
        return True
    return not ours or front == f"tty{ours}"


def watch(command: Sequence[str], port: int, page: str) -> None:
    """Show a page of the daemon on this port; return when the browser ended by itself.

    Raises OSError if it cannot be started.
    """
    address = f"http://{HOST}:{port}/{page}"
    grace = GRACE_S
    while True:
        token = os.urandom(16).hex()
        _wait_for_daemon(port, token)
        log.info("the browser is started: %s", address)
        with browsing(command, address, token) as browser:
            signs = Signs(time.monotonic(), grace)
            while signs.silence is None:
                if browser.ended_within(ASK_S):
                    log.error("the browser ended by itself")
                    return
                with suppress(OSError, ValueError):
                    seconds = seconds_since_alive(port, token)
                    if in_front():
                        signs.answered(time.monotonic(), seconds)
            grace = _told(signs, grace)


def _told(signs: Signs, grace: float) -> float:
    """Say why the browser is started again, and return how long the next one may take."""
    if signs.seen:
        log.warning("the page fell silent %.0f s ago: the browser is started again", signs.silence)
        return GRACE_S
    log.warning(
        "no page of this station was seen within %.0f s (is KIOSK_PAGE right, is the screen on?): "
        "the browser is started again, and next time after %.0f s",
        grace,
        longer(grace),
    )
    return longer(grace)


def longer(grace: float) -> float:
    """What the next browser may take: a screen that is off, or a page that is none of ours, is not
    cured by haste.
    """
    return min(2 * grace, LONGEST_GRACE_S)


def _wait_for_daemon(port: int, token: str) -> None:
    """Until it answers, so that the screen shows our page and never an error of the browser."""
    told = False
    while True:
        try:
            seconds_since_alive(port, token)
        except (OSError, ValueError) as error:
            if not told:
                log.warning(
                    "no station answers on port %d (%s): is edged running? is KIOSK_PORT right?",
                    port,
                    error,
                )
            told = True
            time.sleep(1)
        else:
            return
