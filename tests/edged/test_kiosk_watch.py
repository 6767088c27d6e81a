"""`edged kiosk-watch`: when a browser is started again, and when it must not be."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from support.daemons import Daemon, edged, station
from support.echo import until
from support.kiosks import SCREEN, Kiosk, chromium, kiosk
from support.serving import serving

from edged.kiosk_watch import (
    ANSWER_S,
    ASK_S,
    GRACE_S,
    SILENT_S,
    Signs,
    longer,
    seconds_since_alive,
)

pytestmark = pytest.mark.timeout(240)

TOKEN = "0123456789abcdef0123456789abcdef"

# --- what is taken for dead ------------------------------------------------------------------


def asked(
    signs: Signs, start: float, stop: float, *, alive: Callable[[float], float | None]
) -> None:
    """Answers every `ASK_S`; `alive`: when the page was last alive, as of a moment."""
    now = start
    while now < stop:
        last = alive(now)
        signs.answered(now, None if last is None else now - last)
        now += ASK_S


def test_a_page_that_lived_and_fell_silent_is_dead_after_20_s() -> None:
    signs = Signs(0, GRACE_S)
    asked(signs, 5, 15, alive=lambda now: now)
    asked(signs, 15, 30.1, alive=lambda now: 10)
    assert signs.silence is None
    signs.answered(35, 25)
    assert signs.silence == 25


def test_a_page_that_has_not_lived_yet_has_a_minute() -> None:
    signs = Signs(0, GRACE_S)
    asked(signs, 5, 60.1, alive=lambda now: None)
    assert signs.silence is None
    signs.answered(65, None)
    assert signs.silence == 65


def test_only_an_answer_makes_a_page_dead() -> None:
    signs = Signs(0, GRACE_S)
    signs.answered(5, 1)
    assert signs.silence is None  # and time alone changes nothing: it is given with answers only
    signs.answered(3600, None)
    assert signs.silence is None, "the daemon was away, and has just come back"


def test_a_page_has_its_20_s_again_when_the_daemon_comes_back() -> None:
    signs = Signs(0, GRACE_S)
    asked(signs, 5, 100, alive=lambda now: now)
    asked(signs, 200, 220.1, alive=lambda now: None)
    assert signs.silence is None
    signs.answered(225, None)
    assert signs.silence == 25


def test_a_machine_that_stood_still_is_no_dead_page() -> None:
    """Everything was stopped: the watch, the page and the daemon."""
    signs = Signs(0, GRACE_S)
    asked(signs, 5, 100, alive=lambda now: now)
    signs.answered(400, 303)
    assert signs.silence is None
    signs.answered(405, 2)
    assert signs.silence is None


def test_a_daemon_that_forgot_the_page_does_not_make_it_older_than_it_is() -> None:
    """It was started again between two questions."""
    signs = Signs(0, GRACE_S)
    asked(signs, 5, 101, alive=lambda now: now)
    signs.answered(105, None)
    signs.answered(110, None)
    assert signs.silence is None


def test_a_screen_that_never_shows_the_page_is_given_longer_and_longer_but_not_for_ever() -> None:
    graces = [GRACE_S]
    while longer(graces[-1]) != graces[-1]:
        graces.append(longer(graces[-1]))
    assert graces == sorted(graces)
    assert 600 < graces[-1] < 3600
    assert len(graces) < 10


# --- what is asked ---------------------------------------------------------------------------


def answering(answer: bytes, *, slowly: bool = False) -> object:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in answer if slowly else ():
            writer.write(bytes([byte]))
            await asyncio.sleep(ANSWER_S / 5)
        writer.write(b"" if slowly else answer)

    return serving(talk)


async def ask(port: int) -> float | None:
    return await asyncio.to_thread(seconds_since_alive, port, TOKEN)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "seconds"), [(b'{"seconds":4.5}', 4.5), (b'{"seconds":null}', None)]
)
async def test_a_good_answer(body: bytes, seconds: float | None) -> None:
    async with answering(OK + body) as port:
        assert await ask(port) == seconds


RUBBISH = [
    b"",
    b"\xff" * 100,
    OK,
    OK + b"{",
    OK + b"[]",
    OK + b"3",
    OK + b"null",
    OK + b"{}",
    OK + b'{"seconds":"3"}',
    OK + b'{"seconds":[]}',
    OK + b'{"seconds":-1}',
    OK + b'{"seconds":NaN}',
    OK + b'{"seconds":1e999}',
    OK + b'{"seconds":1' + b"0" * 400 + b"}",
    OK + b'{"seconds":true}',
    OK + b"[" * 3000,
    OK + b" " * 100_000 + b'{"seconds":3}',
    b'HTTP/1.1 404 Not Found\r\n\r\n{"seconds":3}',
    b'SSH-2.0-OpenSSH\r\n\r\n{"seconds":3}',
]


@pytest.mark.parametrize("answer", RUBBISH, ids=range(len(RUBBISH)))
async def test_rubbish_counts_as_no_answer(answer: bytes) -> None:
    async with answering(answer) as port:
        with pytest.raises((OSError, ValueError)):
            await ask(port)


async def test_an_answer_that_drips_is_not_waited_for() -> None:
    async with answering(OK + b'{"seconds":3}', slowly=True) as port:
        began = time.monotonic()
        with pytest.raises((OSError, ValueError)):
            await ask(port)
        assert time.monotonic() - began < len(OK) * ANSWER_S / 5


# --- with a real daemon and a real browser ---------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def seconds(daemon: Daemon, token: str) -> float | None:
    async with httpx2.AsyncClient(verify=False, timeout=20) as client:
        told: float | None = (await client.get(f"{daemon.url}/alive/{token}")).json()["seconds"]
    return told


async def lives(daemon: Daemon, token: str, *, within: float = 60) -> None:
    """Wait for a sign of life of this browser's page from now on."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while (told := await seconds(daemon, token)) is None or told > time.monotonic() - began:
            await asyncio.sleep(0.2)


@asynccontextmanager
async def shop(folder: Path, port: int) -> AsyncIterator[Daemon]:
    async with station(folder, SCREEN, port=port) as daemon:
        await daemon.ready()
        yield daemon


async def healed(daemon: Daemon, port: int, number: signal.Signals) -> None:
    """The page's process is given a signal; the page is there again within a minute."""
    async with kiosk(port) as shown:
        token = await shown.started()
        await lives(daemon, token)
        shown.hit("renderer", number)
        again = await shown.started_again(token)
        await lives(daemon, again)
        assert "fell silent" in shown.daemon.words
        assert token not in shown.daemon.words
        assert again not in shown.daemon.words


async def let_be(daemon: Daemon, port: int) -> None:
    """A technician is at another terminal: nothing is drawn on ours, nothing pulls them back."""
    async with kiosk(port, XDG_VTNR="63") as shown:
        token = await shown.started()
        await lives(daemon, token)
        shown.hit("renderer", signal.SIGKILL)
        await asyncio.sleep(SILENT_S + 3 * ASK_S)
        assert shown.token() == token


async def test_a_dead_or_frozen_page_is_there_again_but_not_behind_another_terminal(
    tmp_path: Path,
) -> None:
    """Three kiosks of one station, because the waiting is the same."""
    port = free_port()
    async with shop(tmp_path, port) as daemon:
        await asyncio.gather(
            healed(daemon, port, signal.SIGKILL),
            healed(daemon, port, signal.SIGSTOP),
            let_be(daemon, port),
        )


async def test_an_error_of_the_browser_does_not_stay(tmp_path: Path) -> None:
    """The daemon went away just when the browser wanted the page."""
    port = free_port()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET /alive/"):
            writer.write(OK + b'{"seconds":null}')

    async with kiosk(port) as shown:
        async with serving(talk, port):
            await until(lambda: shown.parts("renderer"), seconds=60)
            await asyncio.sleep(ASK_S)
        async with shop(tmp_path, port) as daemon:
            async with asyncio.timeout(150):
                while await seconds(daemon, shown.token() or TOKEN) is None:
                    await asyncio.sleep(0.5)


async def test_while_the_daemon_is_away_no_browser_is_started_or_ended(tmp_path: Path) -> None:
    port = free_port()
    async with kiosk(port) as shown:
        await until(lambda: "no station answers" in shown.daemon.words)
        assert not shown.token()
        async with shop(tmp_path, port) as daemon:
            token = await shown.started()
            await lives(daemon, token)
            daemon.process.kill()
            await daemon.process.wait()
        await asyncio.sleep(SILENT_S + 2 * ASK_S)
        assert shown.token() == token
        async with shop(tmp_path, port) as daemon:
            await lives(daemon, token)
            assert shown.token() == token, "the page came back by itself"


async def test_chromium_keeps_what_its_profile_says_and_lives_on_without_its_graphics_process(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with (
        shop(tmp_path, port) as daemon,
        kiosk(port, RUNTIME_DIRECTORY=str(tmp_path)) as shown,
    ):
        token = await shown.started()
        await lives(daemon, token)
        shown.hit("gpu-process", signal.SIGKILL)
        await lives(daemon, token)
        (profile,) = tmp_path.glob("profile-*")
        said = json.loads((profile / "Default/Preferences").read_text("utf-8"))
        assert said["translate"]["enabled"] is False
        assert said["credentials_enable_service"] is False
        assert await shown.daemon.end() == 0
        assert not list(tmp_path.glob("profile-*")), "the profile was left"
        assert shown.browser() == []


# --- ends ------------------------------------------------------------------------------------

STUBBORN = ("sh", "-c", "trap '' TERM; sh -c 'trap \"\" TERM; sleep 1000; :' & sleep 1000; :")
"""A browser that does not end when it is asked to, and neither does what it started."""


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def of_four(shown: Kiosk) -> list[int]:
    """The processes of `STUBBORN`, once all run."""
    await until(lambda: len([1 for _, line in shown.browser() if "1000" in line]) >= 4, seconds=60)
    return [pid for pid, _ in shown.browser()]


async def test_a_stop_ends_also_a_browser_that_does_not_want_to(tmp_path: Path) -> None:
    port = free_port()
    async with shop(tmp_path, port), kiosk(port, *STUBBORN) as shown:
        pids = await of_four(shown)
        assert await shown.daemon.end() == 0
        assert alive(pids) == []


async def test_a_browser_does_not_outlive_a_watch_that_is_killed(tmp_path: Path) -> None:
    port = free_port()
    async with shop(tmp_path, port), kiosk(port, "sh", "-c", "exec sleep 1000") as shown:
        await until(lambda: any(line.strip() == "sleep 1000" for _, line in shown.browser()))
        pids = [pid for pid, _ in shown.browser()]
        shown.daemon.process.kill()
        await until(lambda: alive(pids) == [], seconds=60)


async def test_a_browser_that_ends_by_itself_ends_the_watch(tmp_path: Path) -> None:
    """The unit then starts everything anew, with a session of its own."""
    port = free_port()
    async with shop(tmp_path, port), kiosk(port, "true") as shown:
        async with asyncio.timeout(60):
            assert await shown.daemon.process.wait() == 1


async def test_a_stop_while_it_ends_a_browser_leaves_nothing(tmp_path: Path) -> None:
    """Its first sign to end is followed by another while the browser takes its time."""
    port = free_port()
    async with shop(tmp_path, port), kiosk(port, *STUBBORN) as shown:
        pids = await of_four(shown)
        for number in (signal.SIGHUP, signal.SIGTERM):
            shown.daemon.process.send_signal(number)
            await asyncio.sleep(0.5)
        async with asyncio.timeout(60):
            assert await shown.daemon.process.wait() == 0
        assert alive(pids) == []


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("/nowhere/cage", "-s", "--", "true"), "/nowhere/cage"),
        (("true", "-s", "--", "no-such-browser"), "no-such-browser"),
        (("/etc/passwd",), "/etc/passwd"),
    ],
)
async def test_a_program_that_is_not_there_needs_a_person(
    command: tuple[str, ...], named: str
) -> None:
    status, _, complaint = await edged("kiosk-watch", "--port", free_port(), "--", *command)
    assert status == 2
    assert f"{named}: no such program: `sudo apt install cage" in complaint


@pytest.mark.parametrize("words", [("--port", ""), ("--port", "70000"), ("--page", "a/../b")])
async def test_a_mistake_in_its_file_is_wrong_use(words: tuple[str, ...]) -> None:
    status, _, complaint = await edged("kiosk-watch", *words, "--", "true")
    assert status == 2
    assert words[0] in complaint


async def test_it_costs_little(tmp_path: Path) -> None:
    """It runs for ever on the smallest machine: the standard library, and not much of that."""
    heavy = {"pydantic", "starlette", "asyncio", "PIL", "ssl", "http", "serial"}
    code = (
        "import sys\nfrom edged.cli import main\n"
        "try:\n    main(['kiosk-watch', '--port', '1', '--', '/nonexistent'])\n"
        "finally:\n    print(*sys.modules)\n"
    )
    port = free_port()
    async with shop(tmp_path, port):
        code = code.replace("'1'", f"'{port}'")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    loaded = {name.split(".")[0] for name in out.decode().split()}
    assert "edged" in loaded
    assert not loaded & heavy


def test_the_units_browser_is_what_is_tested() -> None:
    assert chromium()[0] == "/usr/bin/chromium"
    assert "--kiosk" in chromium()
