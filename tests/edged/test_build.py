"""The commit that runs, read from real git checkouts without git."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import edged
from edged.build import build_of

ROOT = Path(__file__).parents[2]


def git(folder: Path, *arguments: str) -> str:
    # The last: as root in a checkout of an ordinary user.
    settings = ("user.name=Ada", "user.email=ada@example.org", "init.defaultBranch=main")
    options = [word for each in (*settings, "safe.directory=*") for word in ("-c", each)]
    command = ["git", *options, *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for file in ("scale/toledo.py", "scale/a.py", "tests/test_scale.py", "README.md"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(f"# {file}\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "first")
    return root


def named(folder: Path) -> str:
    return f"{edged.__version__}+g{git(folder, 'rev-parse', 'HEAD')[:7]}"


def test_a_branch_is_named_by_its_commit(checkout: Path) -> None:
    first = build_of(checkout)
    assert first == named(checkout)
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "second")
    assert build_of(checkout) == named(checkout) != first


def test_packed_branches_a_detached_head_and_worktrees_as_well(
    checkout: Path, tmp_path: Path
) -> None:
    git(checkout, "pack-refs", "--all")
    assert build_of(checkout) == named(checkout)
    git(checkout, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "--quiet", "--allow-empty", "--message", "second")
    assert build_of(tmp_path / "tree") == named(tmp_path / "tree") != named(checkout)
    git(checkout, "checkout", "--quiet", "--detach", "other")
    assert build_of(checkout) == named(checkout)


def test_a_file_that_was_changed_or_is_gone_is_told(checkout: Path) -> None:
    module = checkout / "scale" / "toledo.py"
    was = module.read_text()
    module.write_text(was.replace("toledo", "oledot"))  # as long as before
    os.utime(module, ns=(0, 0))
    assert build_of(checkout) == f"{named(checkout)}-dirty"
    module.write_text(f"{was}more\n")
    assert build_of(checkout) == f"{named(checkout)}-dirty"
    module.unlink()
    assert build_of(checkout) == f"{named(checkout)}-dirty"
    module.write_text(was)
    assert build_of(checkout) == named(checkout)


def test_what_does_not_run_makes_nothing_dirty(checkout: Path) -> None:
    (checkout / "README.md").write_text("edited")
    (checkout / "tests" / "test_scale.py").write_text("edited")
    (checkout / "notes").write_text("new")
    assert build_of(checkout) == named(checkout)


def test_without_git_there_is_the_version(checkout: Path) -> None:
    (checkout / ".git" / "HEAD").write_text("ref: refs/heads/.invalid\n")  # newer kinds of store
    assert build_of(checkout) == edged.__version__
    (checkout / ".git" / "HEAD").write_bytes(b"\xff\xfe\0")
    assert build_of(checkout) == edged.__version__
    shutil.rmtree(checkout / ".git")
    assert build_of(checkout) == edged.__version__


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="these sources came without git")
def test_the_version_that_a_technician_asks_for_names_the_commit(tmp_path: Path) -> None:
    command = [ROOT / ".venv" / "bin" / "edged", "--version"]
    environment = {**os.environ, "PATH": str(tmp_path)}  # where there is no git
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert said.stdout.startswith(f"edged {named(ROOT)}")
