import asyncio
import io
import json
import shutil
from collections.abc import AsyncIterator

import httpx2
import pytest
from PIL import Image
from support.screens import CAMILLE, DOMINIQUE, STRANGER, Bench, running, settle, until

from kiosk.app import build
from kiosk.booth import Booth
from kiosk.entrance import Entrance
from kiosk.weighing import Weighing
from kiosk.words import LANGUAGES

HOST = "http://127.0.0.1:8080"


class Web:
    """The application with its three screens, asked without a socket."""

    def __init__(self, made: Bench) -> None:
        self.made = made
        self.entrance: Entrance = made.entrance()
        self.weighing: Weighing = made.weighing()
        self.booth: Booth = made.booth()
        self.booth.framing_s = self.booth.second_s = 0.02
        self.app = build(made.station, self.entrance, self.weighing, self.booth)
        self.client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app), base_url=HOST
        )

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        return await self.client.get(path, headers=headers)

    async def token(self, page: str) -> str:
        html = (await self.get(f"/{page}")).text
        return html.partition('name="token" content="')[2].partition('"')[0]

    async def tap(
        self, page: str, do: str, what: str = "", *, id_: str | None = None, **headers: str
    ) -> httpx2.Response:
        given = {"Origin": HOST, "X-Token": await self.token(page), **headers}
        body = {"do": do, "what": what, "id": id_ or f"{do}{what}{id(object())}"}
        return await self.client.post(f"/{page}/tap", headers=given, json=body)


@pytest.fixture
async def web(made: Bench) -> AsyncIterator[Web]:
    web = Web(made)
    async with running(web.entrance, web.weighing, web.booth, made.camera):
        await settle()
        yield web
    await web.client.aclose()


@pytest.mark.parametrize("page", ["", "entrance", "scale", "photo", "status"])
async def test_each_page_is_whole_and_asks_nobody_else(web: Web, page: str) -> None:
    answer = await web.get(f"/{page}")
    assert answer.status_code == 200
    assert answer.text.startswith("<!doctype html>")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    for outside in ("http:", "https:", "//", "<style", "style=", "onclick"):
        assert outside not in answer.text.replace('xmlns="http', ""), outside


async def test_a_screen_that_this_station_has_not(made: Bench) -> None:
    app = build(made.station, made.entrance())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=HOST) as client:
        answer = await client.get("/scale")
        assert answer.status_code == 404
        assert "n’a pas cet écran" in answer.text
        assert 'href="/entrance"' in answer.text
        assert (await client.get("/scale/stream")).status_code == 404
        assert (await client.get("/static/secret")).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_state_of_every_screen_is_drawn_in_each_language(
    web: Web, language: str
) -> None:
    from dataclasses import replace

    from kiosk.render import _BUTTONS, _SIGNS

    entrance = ["idle", "ok", "warn", "stop", "unknown", "unreadable", "twice", "no_directory",
                "reader_absent", "reader_failing"]  # fmt: skip
    scale = ["empty", "moving", "pick", "ready", "printing", "take", "tare_ask", "tare_done",
             "under_min", "over", "below_zero", "paper", "printer_absent", "printer_failing",
             "scale_absent", "scale_failing", "scale_silent", "no_catalogue", "refused",
             "not_printed"]  # fmt: skip
    photo = ["badge_first", "keeping", "camera_failing", *_BUTTONS, *_SIGNS]
    for screen, states in ((web.entrance, entrance), (web.weighing, scale), (web.booth, photo)):
        for state in states:
            page = replace(screen.page.get(), state=state, language=language)
            screen.page.set(page)
            answer = await web.get(f"/{screen.name}")
            assert answer.status_code == 200, state
            assert f'lang="{language}"' in answer.text


async def test_a_name_is_text_and_never_markup(web: Web) -> None:
    from datetime import UTC, datetime

    from support.screens import MEMBERS, entry

    sly = entry(STRANGER, "<script>alert(1)</script>", "ok")
    await web.made.store.directory.replace((*MEMBERS, sly), datetime.now(UTC))
    web.made.reader.show(STRANGER)
    await settle()
    text = (await web.get("/entrance")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


async def test_the_public_screen_shows_a_first_name_and_no_reason(web: Web) -> None:
    web.made.reader.show(DOMINIQUE)
    await settle()
    text = (await web.get("/entrance")).text
    assert "Dominique" in text
    assert DOMINIQUE not in text


async def test_a_tap(web: Web) -> None:
    assert (await web.tap("scale", "pick", "104")).status_code == 204
    assert web.weighing.page.get().product is not None


async def test_a_tap_that_comes_twice_has_one_effect(web: Web) -> None:
    for _ in range(2):
        await web.tap("scale", "tab", "search", id_="same")
        await web.tap("scale", "key", "1", id_="key")
    shelf = web.weighing.page.get().shelf
    assert shelf.query == "1"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Token": ""},
        {"X-Token": "made.up"},
        {"X-Token": "é"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"},
    ],
)
async def test_a_tap_of_a_stranger_has_no_effect(web: Web, headers: dict[str, str]) -> None:
    raw = {name: value.encode() for name, value in headers.items()}
    answer = await web.tap("scale", "pick", "104", **raw)
    assert answer.status_code == 403
    assert web.weighing.page.get().product is None


async def test_a_token_is_for_its_page_only_and_outlives_a_restart(web: Web) -> None:
    token = await web.token("entrance")
    assert (await web.tap("scale", "pick", "104", **{"X-Token": token})).status_code == 403
    again = Web(web.made)
    token = await web.token("scale")
    assert (await again.tap("scale", "tare", **{"X-Token": token})).status_code == 204


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8080", "10.0.0.4:8080"])
async def test_another_name_is_not_answered(web: Web, host: str) -> None:
    assert (await web.get("/entrance", Host=host)).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{}", 400), (b'{"do":1,"id":"x"}', 400), (b"\xff", 400),
     (b'{"do":"' + b"x" * 2000 + b'","id":"x"}', 413)],
)  # fmt: skip
async def test_a_broken_tap_is_refused(web: Web, body: bytes, status: int) -> None:
    headers = {"Origin": HOST, "X-Token": await web.token("scale")}
    answer = await web.client.post("/scale/tap", headers=headers, content=body)
    assert answer.status_code == status


async def test_unknown_taps_do_nothing(web: Web) -> None:
    for do, what in [("print", ""), ("dance", "x"), ("pick", "-1"), ("pick", "1e9"), ("key", "é")]:
        assert (await web.tap("scale", do, what)).status_code == 204
    assert (await web.tap("status", "retry", "nobody")).status_code == 204


async def test_the_labels_picture(web: Web) -> None:
    assert (await web.get("/scale/label.png")).status_code == 404
    web.weighing.tap("pick", "104")
    web.made.scale.put(482)
    await until(web.weighing.page, lambda page: page.state == "ready")
    await web.tap("scale", "print")
    await until(web.weighing.page, lambda page: page.state == "take")
    assert "/scale/label.png?" in (await web.get("/scale")).text
    answer = await web.get("/scale/label.png")
    assert answer.headers["content-type"] == "image/png"
    Image.open(io.BytesIO(answer.content)).verify()


async def test_the_photo_is_shown_only_while_it_is_reviewed(web: Web) -> None:
    assert (await web.get("/photo/shot.jpg")).status_code == 404
    assert (await web.get("/photo/preview.mjpg")).status_code == 404
    web.made.reader.show(CAMILLE)
    await settle()
    await web.tap("photo", "start")
    preview = await web.get("/photo/preview.mjpg")  # ends with the countdown
    assert preview.headers["content-type"].startswith("multipart/x-mixed-replace")
    assert preview.content.startswith(b"--kioskframe\r\nContent-Type: image/jpeg\r\n")
    assert preview.content.endswith(b"--kioskframe\r\n")
    await until(web.booth.page, lambda page: page.state == "review")
    shot = await web.get("/photo/shot.jpg")
    assert shot.content == web.booth.photo()
    assert shot.headers["cache-control"] == "no-store"
    await web.tap("photo", "erase")
    assert (await web.get("/photo/shot.jpg")).status_code == 404


async def test_no_picture_for_another_site(web: Web) -> None:
    answer = await web.get("/photo/shot.jpg", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


async def test_status_tells_every_device_with_its_remedy(web: Web) -> None:
    web.made.unplug(web.made.scale)
    web.made.store.journal.add("warning", "device.unplugged", device="balance")
    text = (await web.get("/status")).text
    assert "Vérifier le câble" in text
    known = json.loads((await web.get("/status.json")).text)
    scale = next(device for device in known["devices"] if device["name"] == "balance")
    assert (scale["state"], scale["key"], scale["mood"]) == ("absent", "device.unplugged", "bad")
    assert scale["remedy"]
    rows = {row["what"]: row["value"] for row in known["rows"]}
    assert rows["mqtt"] is True
    assert (rows["directory"], rows["catalogue"], rows["waiting"]) == (3, 13, 0)
    assert known["journal"][0]["device"] == "balance"


async def test_status_tells_that_the_data_folder_has_gone(web: Web) -> None:
    shutil.rmtree(web.made.station.folder)
    rows = {row["what"]: row for row in json.loads((await web.get("/status.json")).text)["rows"]}
    assert (rows["disk"]["mood"], rows["disk"]["value"]) == ("bad", None)
    assert "systemctl restart edged" in rows["disk"]["text"]
    assert "systemctl restart edged" in (await web.get("/status")).text


async def test_status_names_nobody(web: Web) -> None:
    web.made.reader.show(CAMILLE)
    await settle()
    for path in ("/status", "/status.json"):
        text = (await web.get(path)).text
        assert "Camille" not in text
        assert CAMILLE not in text


async def test_retry_is_a_tap(web: Web) -> None:
    assert not web.made.printer.retry.is_set()
    await web.tap("status", "retry", "etiquettes")
    assert web.made.printer.retry.is_set()


async def test_status_speaks_three_languages(web: Web) -> None:
    await web.tap("status", "language", "es")
    assert "Lector de tarjetas" in (await web.get("/status")).text


async def test_the_clock_is_hidden_until_it_is_right(web: Web) -> None:
    assert '<time id="clock">' in (await web.get("/entrance")).text
    web.made.clock = "unsynced"
    assert '<time id="clock"></time>' in (await web.get("/entrance")).text


async def test_static_files_are_kept_for_ever_under_their_version(web: Web) -> None:
    html = (await web.get("/entrance")).text
    style = html.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await web.get(style)
    assert "immutable" in answer.headers["cache-control"]
    assert (await web.get("/static/kiosk.css")).headers["cache-control"] == "no-store"


async def test_many_taps_at_once(web: Web) -> None:
    web.weighing.tap("pick", "104")
    web.made.scale.put(482)
    await settle()
    await asyncio.gather(*(web.tap("scale", "print", id_=str(n)) for n in range(10)))
    await until(web.weighing.page, lambda page: page.state == "take")
    assert len(web.made.printer.labels) == 1
