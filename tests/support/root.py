"""Tests that need root.

An ordinary user can neither mount a small disk nor become another user, so there is nothing that
these tests could try. They are skipped there; CI and `sudo make test` run them.
"""

import os

import pytest

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can mount a small disk or become another user"
)
