"""Keys are made once, whole, and for nobody else."""

import os
import stat
from pathlib import Path

import pytest

from mqtt.secrets import SecretError, make_badge_key, mqtt_password, read_badge_key, read_secret


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


def test_a_secret_s_file_is_named_with_the_key_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SecretError) as caught:
        mqtt_password(tmp_path / "none")
    assert str(caught.value).startswith(f"[mqtt] password_file: {tmp_path}/none: no such file. ")
    (tmp_path / "key").write_text("hunter2")
    with pytest.raises(SecretError) as caught:
        read_badge_key(tmp_path / "key", where="[station] badge_key_file")
    said = f"[station] badge_key_file: {tmp_path}/key must hold 64 hex digits"
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("secret", ["hunter2", "hunter2/x.y", "hunter2" * 500, "hunter2\0"])
@pytest.mark.parametrize("credentials", [False, True])
def test_a_secret_in_the_place_of_its_file_s_name_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, credentials: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if credentials:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for read in (read_secret, read_badge_key):
        with pytest.raises(SecretError, match=r"no such credential|cannot be read") as caught:
            read(Path(secret))
        assert "hunter2" not in str(caught.value)


def test_a_credential_goes_before_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mqtt.password").write_text("from systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert mqtt_password(Path("mqtt.password")) == "from systemd"
    assert mqtt_password(None) is None
