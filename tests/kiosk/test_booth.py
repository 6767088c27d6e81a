import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image
from support.screens import (
    CAMILLE,
    DOMINIQUE,
    SACHA,
    STRANGER,
    Bench,
    running,
    settle,
    until,
)  # fmt: skip

from kiosk.booth import Booth, BoothPage
from store import StoreFull


@pytest.fixture
async def booth(made: Bench) -> AsyncIterator[Booth]:
    booth = made.booth()
    booth.framing_s = booth.second_s = 0.02
    async with running(booth, made.camera):
        yield booth


async def come(booth: Booth, state: str) -> BoothPage:
    page = await until(booth.page, lambda page: page.state == state)
    assert isinstance(page, BoothPage)
    return page


async def consent(booth: Booth, made: Bench, badge: str = CAMILLE) -> BoothPage:
    made.reader.show(badge)
    return await come(booth, "consent")


async def review(booth: Booth, made: Bench) -> BoothPage:
    await consent(booth, made)
    booth.tap("start")
    return await come(booth, "review")


def photos(made: Bench) -> list[Path]:
    return [path for path in (made.folder / "store" / "photos").rglob("*") if path.is_file()]


async def test_badge_consent_look_and_keep(booth: Booth, made: Bench) -> None:
    assert booth.page.get().state == "badge_first"
    page = await consent(booth, made)
    assert (page.name, made.camera.watchers.get()) == ("Camille", 0), "no lamp before consent"
    booth.tap("start")
    assert booth.page.get().state == "framing"
    counted = [(await until(booth.page, lambda page, n=n: page.left == n)).left for n in (3, 2, 1)]
    assert counted == [3, 2, 1]
    await come(booth, "review")
    assert made.camera.watchers.get() == 0, "the lamp is off again"
    photo = booth.photo()
    assert photo is not None
    with Image.open(io.BytesIO(photo)) as picture:
        assert picture.width * 4 == picture.height * 3
    assert photos(made) == []
    booth.tap("keep")
    page = await come(booth, "kept")
    assert page.name == ""
    (fact,) = await made.facts("photo")
    assert fact["sha256"] == hashlib.sha256(photo).hexdigest()
    assert fact["who"] == {"kind": "member", "id": int(CAMILLE[-5:])}
    assert fact["consent"]["text"] == "photo.consent/1"
    (kept,) = photos(made)
    assert kept.read_bytes() == photo
    assert booth.photo() is None


async def test_silence_erases(booth: Booth, made: Bench) -> None:
    booth.review_s = 0.05
    await review(booth, made)
    await come(booth, "dropped")
    assert booth.photo() is None
    assert await made.facts("photo") == []
    assert photos(made) == []


@pytest.mark.parametrize("taps", [["erase"], ["again", "cancel"]])
async def test_saying_no_erases(booth: Booth, made: Bench, taps: list[str]) -> None:
    await review(booth, made)
    for tap in taps:
        booth.tap(tap)
    await come(booth, "dropped")
    await settle()
    assert (booth.photo(), made.camera.watchers.get()) == (None, 0)


async def test_no_thanks(booth: Booth, made: Bench) -> None:
    await consent(booth, made)
    booth.tap("no")
    assert booth.page.get().state == "badge_first"
    assert booth.page.get().name == ""


async def test_consent_is_not_waited_for_for_ever(booth: Booth, made: Bench) -> None:
    booth.consent_s = 0.05
    await consent(booth, made)
    await come(booth, "badge_first")


async def test_as_many_retakes_as_one_likes(booth: Booth, made: Bench) -> None:
    first = await review(booth, made)
    booth.tap("again")
    assert booth.photo() is None
    second = await come(booth, "review")
    assert second.picture not in ("", first.picture)


async def test_ten_taps_keep_once(booth: Booth, made: Bench) -> None:
    await review(booth, made)
    for _ in range(10):
        booth.tap("keep")
    await come(booth, "kept")
    assert len(await made.facts("photo")) == 1


async def test_offline_is_said(booth: Booth, made: Bench) -> None:
    made.go_offline()
    await review(booth, made)
    booth.tap("keep")
    await come(booth, "kept_offline")


async def test_a_stranger_takes_no_photo(booth: Booth, made: Bench) -> None:
    made.reader.show(STRANGER)
    await come(booth, "unknown")
    booth.tap("start")
    await settle()
    assert booth.page.get().state == "unknown"
    booth.tap("done")
    assert booth.page.get().state == "badge_first"


async def test_another_badge_erases_the_photo(booth: Booth, made: Bench) -> None:
    await review(booth, made)
    made.reader.show(SACHA)
    page = await come(booth, "consent")
    assert page.name == "Sacha"
    assert booth.photo() is None


async def test_the_same_badge_changes_nothing(booth: Booth, made: Bench) -> None:
    await review(booth, made)
    made.reader.show(CAMILLE)
    await settle()
    assert booth.page.get().state == "review"
    assert booth.photo() is not None


async def test_a_tap_meant_for_another_sitting_consents_to_nothing(
    booth: Booth, made: Bench
) -> None:
    seen = await consent(booth, made)
    made.reader.show(SACHA)
    sacha = await until(booth.page, lambda page: page.name == "Sacha")
    assert isinstance(sacha, BoothPage)
    booth.tap("start", seen.picture)  # Camille's finger, a moment late
    assert booth.page.get().state == "consent"
    booth.tap("start", sacha.picture)
    first = await come(booth, "review")
    booth.tap("again", first.picture)
    second = await come(booth, "review")
    booth.tap("keep", first.picture)
    assert booth.page.get().state == "review"
    booth.tap("keep", second.picture)
    await come(booth, "kept")
    (fact,) = await made.facts("photo")
    assert fact["who"] == {"kind": "member", "id": int(SACHA[-5:])}


async def test_a_badge_that_cannot_be_read_changes_nothing(booth: Booth, made: Bench) -> None:
    made.reader.show("0420001234005")
    await come(booth, "unknown")
    await review(booth, made)
    made.reader.show("0420001234005")
    await settle()
    assert booth.page.get().state == "review"
    assert booth.photo() is not None


async def test_the_camera_is_unplugged_while_counting(booth: Booth, made: Bench) -> None:
    booth.second_s = 5
    await consent(booth, made)
    booth.tap("start")
    await come(booth, "count")
    made.unplug(made.camera)
    await come(booth, "camera_absent")
    await settle()
    assert made.camera.watchers.get() == 0
    made.reader.show(CAMILLE)
    await settle()
    assert booth.page.get().state == "camera_absent"
    made.plug(made.camera)
    await come(booth, "badge_first")


async def test_a_camera_that_gives_no_picture(booth: Booth, made: Bench) -> None:
    made.camera.broken = True
    await consent(booth, made)
    booth.tap("start")
    await come(booth, "no_photo")
    assert made.camera.watchers.get() == 0


async def test_a_picture_that_is_none(booth: Booth, made: Bench) -> None:
    await consent(booth, made)
    made.camera.picture = b"\xff\xd8 not a picture"
    booth.tap("start")
    await come(booth, "no_photo")


async def test_a_photo_that_cannot_be_written_is_erased_and_told(
    booth: Booth, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreFull("store.full")

    await review(booth, made)
    monkeypatch.setattr(made.store.outbox, "put", full)
    booth.tap("keep")
    await come(booth, "not_kept")
    assert booth.photo() is None
    assert photos(made) == []


async def test_the_member_is_spoken_to_in_their_language(booth: Booth, made: Bench) -> None:
    assert (await consent(booth, made, DOMINIQUE)).language == "es"
    booth.tap("no")
    await until(booth.page, lambda page: page.language == "fr")


async def test_the_next_member_is_not_spoken_to_in_the_last_ones_language(
    booth: Booth, made: Bench
) -> None:
    await consent(booth, made, DOMINIQUE)
    made.reader.show(SACHA)
    page = await until(booth.page, lambda page: page.name == "Sacha")
    assert isinstance(page, BoothPage)
    assert page.language == "fr"
    booth.tap("language", "en")
    made.reader.show(CAMILLE)
    page = await until(booth.page, lambda page: page.name == "Camille")
    assert isinstance(page, BoothPage)
    assert page.language == "fr", "Sacha's choice left with Sacha"


async def test_a_language_stays_while_somebody_reads_and_the_consent_names_it(
    booth: Booth, made: Bench
) -> None:
    booth.forget_language_s = 0.02
    await consent(booth, made, DOMINIQUE)
    booth.tap("language", "en")
    await asyncio.sleep(0.1)
    assert booth.page.get().language == "en"
    booth.tap("start")
    await come(booth, "review")
    booth.tap("language", "es")
    booth.tap("keep")
    await come(booth, "kept")
    (fact,) = await made.facts("photo")
    consented = fact["consent"]
    assert isinstance(consented, dict)
    assert consented["language"] == "en", "the words that were read before the photo was taken"


async def test_a_language_is_forgotten_after_the_camera_went_away(
    booth: Booth, made: Bench
) -> None:
    booth.forget_language_s = 0.02
    await consent(booth, made, DOMINIQUE)
    made.unplug(made.camera)
    await come(booth, "camera_absent")
    await until(booth.page, lambda page: page.language == "fr")


@pytest.mark.parametrize("failure", [RuntimeError("a bug"), KeyError("x")])
async def test_a_bug_in_a_cameras_driver_does_not_stop_the_booth(
    booth: Booth, made: Bench, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def broken() -> bytes:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(made.camera, "still", broken)
        await consent(booth, made)
        booth.tap("start")
        await come(booth, "no_photo")
    assert made.camera.watchers.get() == 0
    await review(booth, made)


async def test_nothing_is_left_running_when_the_booth_ends(made: Bench) -> None:
    booth = made.booth()
    booth.second_s = 5
    async with running(booth, made.camera):
        await consent(booth, made)
        booth.tap("start")
        await come(booth, "count")
    assert made.camera.watchers.get() == 0
    assert len(asyncio.all_tasks()) == 1
