"""Every registered driver answers the ten questions of devices/QUALITY.md."""

import re
from pathlib import Path

import pytest

import devices
from devices.registry import drivers

PAGE = (Path(devices.__file__).parent / "QUALITY.md").read_text()
ROW = re.compile(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", re.MULTILINE)
INTRODUCTION, *SECTIONS = PAGE.split("\n## ")
QUESTIONS = [question for question, _ in ROW.findall(INTRODUCTION)]
REGISTERED = [
    f"{family}: {name}"
    for family in ("badge_reader", "scale", "printer", "camera")
    for name in drivers(family)
]


def test_there_are_ten_questions():
    assert len(QUESTIONS) == 10


def test_no_section_is_about_a_driver_that_is_gone_and_none_is_missing():
    assert sorted(section.split("\n")[0] for section in SECTIONS) == sorted(REGISTERED)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.split("\n")[0])
def test_each_driver_answers_each_question(section):
    answers = dict(ROW.findall(section))
    assert list(answers) == QUESTIONS
    assert all(answer.strip().endswith(".") for answer in answers.values())
