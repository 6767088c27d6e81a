"""For tests of the 8217's driver."""

import pytest


@pytest.fixture(params=[0.0, 1.0], ids=["watched", "asked"])
def settled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that has been the same for so long is only watched for changes. All that a scale can
    do must end well in either state."""
    monkeypatch.setattr("scale.toledo._SETTLED", request.param)
