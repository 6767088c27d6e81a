import ast
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.screens import Bench, bench, fill, running, settle
from support.source import parsed

from kiosk import words
from kiosk.weighing import Weighing


@pytest.fixture(autouse=True)
def _strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "strict", True)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Bench]:
    """A station with members and products."""
    async with bench(tmp_path) as station:
        await fill(station)
        station.scale.put(0)
        yield station


@pytest.fixture
async def screen(made: Bench) -> AsyncIterator[Weighing]:
    """The scale's screen, over an empty pan."""
    screen = made.weighing()
    async with running(screen):
        await settle()
        yield screen


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Bench]:
    """A station that never heard of Odoo."""
    async with bench(tmp_path) as station:
        yield station


@pytest.fixture(scope="session")
def sources() -> dict[Path, ast.Module]:
    """Every module of the program, parsed."""
    root = Path(__file__).parents[2]
    rooms = "edged devices badge_reader scale printer camera mqtt store kiosk"
    paths = [path for room in rooms.split() for path in (root / room).rglob("*.py")]
    return {path: parsed(path) for path in paths}
