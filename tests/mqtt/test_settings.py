"""What is wrong with a file is told in its writer's words, all at once, and without a secret."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mqtt.settings import ConfigError, nearest, problems, read_toml


class Filter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    divisions: int = Field(1, ge=1)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    port: str
    baud: int = 9600
    filter: Filter | None = None
    shops: list[Filter] = []
    tags: list[str] = []


def told(table: dict[str, object], within: str) -> list[str]:
    with pytest.raises(ValidationError) as bad:
        Settings.model_validate(table)
    found = problems(Path("f"), Settings, bad.value, within)
    return sorted(str(problem).removeprefix("f: ") for problem in found)


def test_every_mistake_is_told_at_once_with_its_place_and_never_its_text() -> None:
    table = {
        "baud": "secret",
        "filter": {"divisons": 3, "divisions": 0},
        "prot": "/dev/x",
        "shops": [{}, {"division": 2}, "secret"],
        "tags": ["fine", 7],
    }
    assert told(table, "scale.fruit") == [
        "[scale.fruit.filter] divisions: must be greater than or equal to 1 (found 0).",
        "[scale.fruit.filter] divisons: unknown key. Did you mean 'divisions'?",
        "[scale.fruit.shops] (no. 2) division: unknown key. Did you mean 'divisions'?",
        "[scale.fruit] baud: must be a valid integer, unable to parse string as an integer.",
        "[scale.fruit] port: is missing, and there is no default.",
        "[scale.fruit] prot: unknown key. Did you mean 'port'?",
        "[scale.fruit] shops (no. 3): must be a table.",
        "[scale.fruit] tags (no. 2): must be text between quotes (found 7).",
    ]


def test_a_whole_file_s_array_of_tables_is_named_as_it_is_written() -> None:
    assert told({"port": "x", "shops": [{"divisions": 0}]}, "") == [
        "[[shops]] (no. 1) divisions: must be greater than or equal to 1 (found 0).",
    ]


def test_a_list_is_told_how_it_is_written() -> None:
    assert told({"port": "x", "shops": {"divisions": 2}, "tags": "fine"}, "") == [
        "shops: must be written [[shops]], once for each.",
        "tags: must be a list between brackets: [ ].",
    ]


def test_nearest() -> None:
    assert nearest("prot", ["port", "baud"]) == " Did you mean 'port'?"
    assert nearest("balance", ["Balance"]) == " Did you mean 'Balance'?"
    assert nearest("Paris", ["Europe/Madrid", "Europe/Paris"]) == " Did you mean 'Europe/Paris'?"
    assert nearest("x", ["port", "baud"]) == " Known here: baud, port."
    assert nearest("x", []) == ""
    assert nearest("x", map(str, range(600))) == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a = 1\nb = é\n".encode("latin-1"), "line 2 is not UTF-8 text"),
        ("a = 1\n".encode("utf-16"), "line 1 is not UTF-8 text"),
        (b"a = \n", "is not valid TOML"),
        (b"a = 1\n\0", "is not valid TOML"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_toml(file)
    assert str(caught.value).startswith(f"{file}: ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a = «x»", "column 5). Type straight quotes there"),
        ("a = “x”", "column 5). Type straight quotes there"),
        ("a\u00a0= 1", "column 2). What looks like a space there is none"),
        ("a = hunter2", 'column 5). Text stands between quotes: "…".'),
        ("a = " + "9" * 5000, "a number or a list is too long."),
        ("a = " + "[" * 5000, "a number or a list is too long."),
        ('a = "x', "is not valid TOML: Illegal character"),
    ],
)
def test_toml_that_looks_right_to_a_person(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(f"b = 1\r\n{line}\r\n".encode())
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        read_toml(file)
    assert "hunter2" not in str(caught.value)


def test_a_folder_and_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_toml(tmp_path)
    with pytest.raises(ConfigError, match=r"no such file\. Make one\."):
        read_toml(tmp_path / "none", hint=" Make one.")


@pytest.mark.parametrize("text", ["\ufeffa = 1\n", "a = 1\r\n", ""])
def test_what_editors_of_other_systems_write(tmp_path: Path, text: str) -> None:
    file = tmp_path / "f.toml"
    file.write_bytes(text.encode())
    assert read_toml(file) in ({"a": 1}, {})
