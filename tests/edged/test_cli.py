"""The command line as a technician types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1] / "vectors"
LISTS = sorted(path for path in VECTORS.glob("*.json") if path.stem != "keymaps")
HOW_IT_CAME = {"chunks"}
"""Not what the frame means: the sizes in which it was read."""
INPUTS = ("name", "request", "response", "hex", "bits", "input", "events", "config")


def edged(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edged", *arguments]
    return subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=60, check=False
    )


def test_help_lists_every_command() -> None:
    said = edged("--help")
    assert said.returncode == 0
    for command in ("run", "check", "demo", "find", "try", "decode", "bridge", "import", "export"):
        assert f"\n    {command} " in said.stdout
    assert "exit status" in said.stdout


def test_version() -> None:
    assert edged("--version").stdout.startswith("edged ")


def test_a_wrong_file_is_status_2(tmp_path: Path) -> None:
    said = edged("check", "-c", str(tmp_path / "none.toml"))
    assert said.returncode == 2
    assert "no such file" in said.stderr


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """As a technician's shell runs it: what is printed is kept until the end."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", command.replace("edged", f"{sys.executable} -m edged", 1)],
        env=plain | environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["--help", "decode --list", "check --help"])
def test_a_reader_that_is_gone_is_no_failure(command: str) -> None:
    said = shell(f"(edged {command}; echo $? >&2) | true")
    assert said.stderr == "0\n"


def test_a_disk_that_takes_no_answer_is_a_sentence() -> None:
    said = shell("edged decode --list >/dev/full")
    assert said.returncode == 1
    assert said.stderr == "edged: cannot write what was asked for: No space left on device\n"


def test_a_locale_without_our_letters() -> None:
    said = shell("edged decode --help", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (said.returncode, said.stderr) == (0, "")
    assert r"0110\u2026" in said.stdout


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "inf", "ten"])
def test_a_trial_lasts_a_number_of_seconds(seconds: str) -> None:
    said = edged("try", "scale", "any", f"--seconds={seconds}")
    assert said.returncode == 2
    assert f"--seconds: more than 0, at most 3600, not {seconds}" in said.stderr


def test_decode_one_frame() -> None:
    said = edged("decode", "mettler-8217", "--hex", "02 30 31 2E 32 33 34 0D")
    assert said.returncode == 0
    assert json.loads(said.stdout)["value"] == "1.234"


def test_decode_takes_settings() -> None:
    said = edged(
        "decode", "mettler-8217", "--config", "unit=lb", "--request", "57",
        "--response", "02 30 32 2E 34 36 0D",
    )  # fmt: skip
    answer = json.loads(said.stdout)
    assert (answer["value"], answer["unit"]) == ("2.46", "lb")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["decode", "metler-8217", "--hex", "02"], "'mettler-8217'"),
        (["decode", "mettler-8217"], "--hex"),
        (["decode", "mettler-8217", "--hex", "0"], "mettler-8217:"),
        (["decode", "mettler-8217", "--hex", "zz"], "mettler-8217:"),
        (["decode", "hid-wedge", "--events", "[[1,"], "not JSON"),
        (["decode", "mettler-8217", "--hex", "02", "--config", "unit"], "KEY=VALUE"),
        (["decode"], "--list"),
    ],
)
def test_decode_says_what_is_wrong(arguments: list[str], words: str) -> None:
    said = edged(*arguments)
    assert said.returncode == 2
    assert words in said.stderr
    assert said.stdout == ""


def test_decode_lists_its_protocols() -> None:
    listed = edged("decode", "--list").stdout.split()
    assert {path.stem.replace("_", "-") for path in LISTS} <= set(listed)


def test_every_vector_through_the_command_line() -> None:
    """One process, one line a vector, as a technician's script would do it."""
    vectors = [
        (path.stem.replace("_", "-"), vector)
        for path in LISTS
        for vector in json.loads(path.read_text())
    ]
    assert len(vectors) > 130
    lines = [
        json.dumps({"protocol": name} | {k: v for k, v in vector.items() if k in INPUTS})
        for name, vector in vectors
    ]
    said = edged("decode", "--batch", given="\n".join(lines) + "\n")
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.returncode == 0, said.stderr
    assert len(answers) == len(vectors)
    wrong = [
        (name, vector["name"], key, value, answer.get(key))
        for (name, vector), answer in zip(vectors, answers, strict=True)
        for key, value in vector["expect"].items()
        if key not in HOW_IT_CAME and answer.get(key) != value
    ]
    assert wrong == []


def test_a_bad_line_of_a_batch_is_an_answer_and_the_rest_goes_on() -> None:
    good = '{"protocol": "ean", "input": "3017620422003"}'
    said = edged("decode", "--batch", given=f'nonsense\n[1]\n{{"protocol": "x"}}\n{good}\n')
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert said.returncode == 1
    assert [answer["kind"] == "error" for answer in answers[:3]] == [True] * 3
    assert answers[3]["valid"] is True
