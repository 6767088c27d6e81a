"""What the services said stands beside the tests that failed."""

import subprocess
import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def journal() -> Iterator[None]:
    since = f"@{int(time.time())}"
    yield
    subprocess.run(
        ["journalctl", "--no-pager", "-o", "cat", "-b", "-n", "60", "--since", since],
        check=False,
    )
