"""For all tests of the store."""

from types import SimpleNamespace

import pytest

from store import outbox


@pytest.fixture(autouse=True)
def _a_slow_machine_looks_through_the_file_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station looks for damage for 0.3 s at most when it starts; the tests' small files are
    looked through whole, however busy this machine is.
    """
    monkeypatch.setattr("durable.sqlite._QUICK_CHECK_S", 60.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The outbox's own clock (`now`, in seconds), moved by hand."""
    clock = SimpleNamespace(now=5000.0)
    monkeypatch.setattr(outbox, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock
