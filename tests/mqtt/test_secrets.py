"""Keys are made once, whole, and for nobody else."""

import os
import stat
from pathlib import Path

import pytest

from mqtt.secrets import make_badge_key, read_badge_key


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "badge.key"
    make_badge_key(path)
    first = read_badge_key(path)
    make_badge_key(path)
    assert read_badge_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_power_cut_leaves_no_half_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "badge.key"

    def cut(_file: int) -> None:
        raise OSError("the power is gone")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(OSError, match="power"):
        make_badge_key(path)
    assert not path.exists()
    monkeypatch.undo()
    make_badge_key(path)
    assert len(read_badge_key(path)) == 32
