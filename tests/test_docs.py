"""The documentation against the code: whatever exists is described, whatever is described exists.

Both languages hold the same pages. Keys, defaults, commands, options, columns and sentences are
compared with the models, the parser and the catalogues; examples are loaded and used.
"""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from support.imports import import_files
from support.pages import (
    DOCS,
    EVERY_PAGE,
    LANGUAGES,
    PAGES,
    blocks,
    headings,
    page,
    rows,
    sections,
    slug,
    without_code,
)
from support.stores import opened

import bridge.config
from devices import State
from devices.registry import drivers, load_driver
from edged import columns, config
from edged.cli import parser
from kiosk.settings import EntranceSettings, PhotoSettings, ScaleSettings

STATION = {
    "[station]": config.StationTable,
    "[mqtt]": config.MqttTable,
    "[bridge]": config.BridgeTable,
    "[kiosk]": config.KioskTable,
    "[screens.entrance]": EntranceSettings,
    "[screens.scale]": ScaleSettings,
    "[screens.photo]": PhotoSettings,
}
BRIDGE = {
    "[mqtt]": bridge.config.MqttTable,
    "[inbox]": bridge.config.InboxTable,
    "[[site]]": bridge.config.SiteTable,
    "[site.odoo]": bridge.config.OdooTable,
    "[site.members]": bridge.config.MembersTable,
    "[site.products]": bridge.config.ProductsTable,
    "[site.apply]": bridge.config.ApplyTable,
}
SCREENS = {"page", "entrance", "weighing", "photo", "label", "status", "import", "remedy"}
"""Tables of the screens' catalogues that tell no fault; all others stand in troubleshooting."""


# --- the pages -----------------------------------------------------------------------------------


def test_both_languages_have_the_same_pages() -> None:
    assert {path.stem for path in (DOCS / "en").iterdir()} == set(PAGES)
    assert {path.stem for path in (DOCS / "fr").iterdir()} == set(PAGES.values())
    index = (DOCS / "README.md").read_text("utf-8")
    for english, french in PAGES.items():
        assert f"(en/{english}.md)" in index
        assert f"(fr/{french}.md)" in index


@pytest.mark.parametrize("name", PAGES)
def test_both_languages_have_the_same_headings(name: str) -> None:
    levels = [[level for level, _ in headings(page(language, name))] for language in LANGUAGES]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.is_file(), target
        if anchor:
            anchors = [slug(title) for _, title in headings(file.read_text("utf-8"))]
            assert anchors.count(anchor) == 1, target


@pytest.mark.parametrize("path", sorted(DOCS.glob("fr/*.md")), ids=lambda path: path.stem)
def test_french_is_set_as_french(path: Path) -> None:
    """Real apostrophes, and no line break before a colon or inside quotation marks."""
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)|<http[^>]*>", "", without_code(path.read_text("utf-8")))
    assert not re.findall(r".*'.*", text)
    assert not re.findall(r".* [:;!?»](?!-).*|.*« .*", text)


# --- configuration -------------------------------------------------------------------------------


def shown(value: object) -> str:
    """A default as the tables show it: as it would stand in the file."""
    if value is None or isinstance(value, BaseModel):
        return "—"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, list | tuple):
        value = list(value)
    text = str(value) if isinstance(value, Path) else value
    return f"`{json.dumps(text, ensure_ascii=False)}`"


def defaults(model: type[BaseModel], language: str) -> dict[str, str]:
    required = {"en": "*required*", "fr": "*obligatoire*"}[language]
    return {
        name: required if field.is_required() else shown(field.get_default())
        for name, field in model.model_fields.items()
    }


def documented(section: str) -> dict[str, str]:
    return {cells[0].strip("`"): cells[2] for cells in rows(section)}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("file", "tables"), [("station", STATION), ("bridge", BRIDGE)])
def test_every_key_is_described(
    language: str, file: str, tables: dict[str, type[BaseModel]]
) -> None:
    text = page(language, "configuration")
    start = text.index(f"\n## {file}.toml")
    found = sections(text[start : text.find("\n## ", start + 1)])
    described = {
        title[: title.rindex("`")].strip("`"): section
        for title, section in found.items()
        if title.startswith("`")
    }
    assert described.keys() == tables.keys()
    for table, model in tables.items():
        assert documented(described[table]) == defaults(model, language), table


def test_no_table_is_forgotten() -> None:
    station = {name.strip("[]").split(".")[0] for name in STATION}
    assert station | {"screens"} == set(config._TABLES)
    assert {f"[screens.{name}]" for name in config.ScreensTable.model_fields} <= set(STATION)
    assert {name.strip("[]").split(".")[0] for name in BRIDGE} == set(
        bridge.config.BridgeConfig.model_fields
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_driver_is_described(language: str) -> None:
    found = {
        code[0]: section
        for title, section in sections(page(language, "devices")).items()
        if (code := re.findall(r"`(.+)`", title))
    }
    known = {name: family for family in config.FAMILIES for name in drivers(family)}
    assert found.keys() == known.keys()
    for name, family in known.items():
        settings = load_driver(family, name).Settings
        assert documented(found[name]) == defaults(settings, language), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_examples_load(language: str, tmp_path: Path) -> None:
    stations, bridges = 0, 0
    for name in PAGES:
        text = page(language, name)
        for number, example in enumerate(blocks(text, "toml station.toml")):
            file = tmp_path / f"{name}-{number}.station.toml"
            file.write_text(example, "utf-8")
            config.load(file)
            stations += 1
        for number, example in enumerate(blocks(text, "toml bridge.toml")):
            file = tmp_path / f"{name}-{number}.bridge.toml"
            file.write_text(example, "utf-8")
            bridge.config.load(file)
            bridges += 1
        for example in blocks(text, "toml"):
            tomllib.loads(example)
    assert stations >= 6
    assert bridges >= 2


def test_the_example_of_the_readme_loads(tmp_path: Path) -> None:
    (example,) = blocks((DOCS.parent / "README.md").read_text("utf-8"), "toml")
    file = tmp_path / "station.toml"
    file.write_text(example, "utf-8")
    assert config.load(file).screens.scale


# --- commands and sentences ----------------------------------------------------------------------


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    top = parser()
    yield "edged", top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from ((f"edged {name}", one) for name, one in action.choices.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_and_option_is_described(language: str) -> None:
    found = {
        title.strip("`"): section
        for title, section in sections(page(language, "commands")).items()
        if title.startswith("`")
    }
    known = dict(commands())
    assert found.keys() == known.keys()
    for name, command in known.items():
        options = {
            option
            for action in command._actions
            for option in action.option_strings
            if not isinstance(action, argparse._HelpAction)
        }
        described = {
            option for cells in rows(found[name]) for option in re.findall(r"`(-[^`]*)`", cells[0])
        }
        assert described == options, name
        for action in command._actions:
            for choice in action.choices or () if not action.option_strings else ():
                if name != "edged":
                    assert f"{name} {choice}" in found[name]


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_of_the_examples_exist(language: str) -> None:
    """As typed in the examples; what stands for something is taken as it is."""
    call = r"(?:^|sudo |-u \S+ |&& |bin/)edged ([a-z-][^|>'\n]*)"
    typed = [
        line
        for name in PAGES
        for example in blocks(page(language, name), "sh")
        for line in re.findall(call, example, flags=re.MULTILINE)
    ]
    known = {name.removeprefix("edged ") for name, _ in commands()}
    assert len(typed) >= 10
    for line in typed:
        words = shlex.split(line)
        assert words[0] in known | {"--version"}, line
        if words[0] in known:
            parser().parse_args(words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_exit_statuses_are_described(language: str) -> None:
    section = list(sections(page(language, "commands")).values())[1]
    told = re.findall(r"^  (\d)  ", parser().epilog or "", flags=re.MULTILINE)
    assert [cells[0] for cells in rows(section)] == told


LINES = ("mqtt", "bridge", "waiting", "parked", "directory", "catalogue", "clock", "disk")
LINES += ("stalled", "temperature", "set_aside")
"""Lines of the status page beside the devices: `Row.what`."""


def plain(sentence: str) -> str:
    return re.sub(r"[\u00a0\u202f]", " ", sentence).replace("’", "'").strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_fault_has_its_cause_and_remedy(language: str) -> None:
    catalogue = tomllib.loads((DOCS.parent / "kiosk/catalogue" / f"{language}.toml").read_text())
    faults = catalogue.keys() - SCREENS
    known = {plain(said) for table in faults for said in catalogue[table].values()}
    text = page(language, "troubleshooting")
    found = sections(text)
    titles = [title for level, title in headings(text) if level == 3]
    assert len(titles) == len(faults)
    explained = [cells for title in titles for cells in rows(found[title])]
    assert {plain(cells[0]) for cells in explained} == known
    assert all(len(cells) == 3 and all(cells) for cells in explained)
    sentences = {f"{t}.{k}": plain(s) for t in faults for k, s in catalogue[t].items()}
    remedies = {plain(cells[0]): plain(cells[2]) for cells in explained}
    for key, remedy in catalogue["remedy"].items():
        assert remedies[sentences[key]] == plain(remedy), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_and_line_of_the_status_page_is_described(language: str) -> None:
    said = tomllib.loads((DOCS.parent / "kiosk/catalogue" / f"{language}.toml").read_text())
    words = {name: plain(word) for name, word in said["status"].items()}
    text = page(language, "troubleshooting")
    titles = [title for level, title in headings(text) if level == 2]
    told = rows(sections(text)[titles[3]])
    states = [cells for cells in told if len(cells) == 4]
    assert {cells[1].strip("`"): plain(cells[0]) for cells in states} == {
        state.value: words[state.value] for state in State
    }
    lines = [cells for cells in told if len(cells) == 3]
    assert {plain(cells[0]) for cells in lines} == {words[name] for name in LINES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_make_and_the_files_named_exist(language: str) -> None:
    text = page(language, "development")
    makefile = (DOCS.parent / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):.*##", makefile, flags=re.MULTILINE)) - {"help"}
    assert set(re.findall(r"^make ([a-z0-9-]+) ", text, flags=re.MULTILINE)) == targets
    named = set(re.findall(r"`([a-z_]+/[a-z_/.]+\.py)`", text))
    assert named
    for name in named:
        assert (DOCS.parent / name).is_file(), name


# --- files to import -----------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns_are_described(language: str) -> None:
    kinds = (columns.members(None), columns.PRODUCTS, columns.RULES)
    tables = [
        rows(section)
        for section in sections(page(language, "without-odoo")).values()
        if rows(section)
    ]
    yes = {"en": "yes", "fr": "oui"}[language]
    assert [{cells[0].strip("`"): cells[1] == yes for cells in table} for table in tables] == [
        {name: column.default is None for name, column in kind.items()} for kind in kinds
    ]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_examples_are_imported(language: str, tmp_path: Path) -> None:
    text = page(language, "without-odoo")
    files = []
    for name in ("members.csv", "products.csv", "rules.csv"):
        (example,) = blocks(text, f"csv {name}")
        files.append(tmp_path / name)
        files[-1].write_text(example, "utf-8")
    async with opened(tmp_path / "store") as store:
        imported = await import_files(store, files, b"key")
    assert (imported.members, imported.products, imported.rules) == (2, 1, 1)
    assert (imported.gaps, imported.doubts) == ((), ())
