"""The documentation's pages, taken apart: headings, sections, tables, blocks of code."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "bridge": "passerelle",
    "commands": "commandes",
    "configuration": "configuration",
    "development": "developpement",
    "devices": "appareils",
    "installation": "installation",
    "messages": "messages",
    "metrology": "metrologie",
    "privacy": "vie-privee",
    "security": "securite",
    "troubleshooting": "depannage",
    "without-odoo": "sans-odoo",
}
LANGUAGES = ("en", "fr")
EVERY_PAGE = [DOCS / "README.md", *sorted(DOCS.glob("??/*.md"))]


def page(language: str, name: str) -> str:
    file = name if language == "en" else PAGES[name]
    return (DOCS / language / f"{file}.md").read_text("utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[tuple[int, str]]:
    found = re.findall(r"^(#+) (.+)$", without_code(text), flags=re.MULTILINE)
    return [(len(marks), title) for marks, title in found]


def slug(title: str) -> str:
    """The anchor that GitHub and most viewers give a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def sections(text: str) -> dict[str, str]:
    """What follows each heading, up to the next, whatever its level."""
    text = without_code(text)
    marks = list(re.finditer(r"^#+ (.+)$", text, flags=re.MULTILINE))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {mark[1]: text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}


def rows(text: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    lines = [line.strip() for line in text.splitlines()]
    rules = {n for n, line in enumerate(lines) if re.fullmatch(r"[|\- ]+", line) and "-" in line}
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for n, line in enumerate(lines)
        if line.startswith("|") and n not in rules and n + 1 not in rules
    ]


def blocks(text: str, info: str) -> list[str]:
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
