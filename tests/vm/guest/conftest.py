"""What the services said stands beside the tests that failed; and who holds the devices."""

import subprocess
import time
from collections.abc import Iterator

import pytest
from support.units import systemctl


@pytest.fixture(scope="module", autouse=True)
def devices(request: pytest.FixtureRequest) -> None:
    """The service that the boot has started has them in test_boot.py, nobody in the other files."""
    if not request.module.__name__.endswith("test_boot"):
        systemctl("stop", "edged")


@pytest.fixture(autouse=True)
def journal() -> Iterator[None]:
    since = f"@{int(time.time())}"
    yield
    subprocess.run(
        ["journalctl", "--no-pager", "-o", "cat", "-b", "-n", "60", "--since", since],
        check=False,
    )
