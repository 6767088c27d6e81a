"""tools/install and tools/packages, as a technician's machine runs them."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest
from support.root import needs_root

ROOT = Path(__file__).parents[2]


def stand_in(folder: Path, name: str, does: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)


def environment(programs: Path, **more: str) -> dict[str, str]:
    """Where these programs come before the system's."""
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", **more}


def test_a_32_bit_system_is_told_what_to_install(tmp_path: Path) -> None:
    stand_in(tmp_path / "bin", "getconf", '[ "$1" = LONG_BIT ] && echo 32')
    done = subprocess.run(
        [ROOT / "tools" / "install", tmp_path / "venv"],
        cwd=ROOT, env=environment(tmp_path / "bin"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Raspberry Pi OS (64-bit)" in done.stderr
    assert "network" not in done.stderr
    assert not (tmp_path / "venv").exists()


# --- apt's locks ---------------------------------------------------------------------------------

LOCKS = ("lib/apt/lists/lock", "cache/apt/archives/lock", "lib/dpkg/lock-frontend")


@pytest.fixture
def apt(tmp_path: Path) -> dict[str, str]:
    """The real apt in a folder of its own, with a mirror of one package, python3-venv.

    dpkg alone is a stand-in, because a package of a test must not reach the machine.
    """
    for folder in (*(Path("var", lock).parent for lock in LOCKS), "mirror", "deb/DEBIAN"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    about = (
        "Package: python3-venv\nVersion: 1\nArchitecture: all\nMaintainer: Ada <a@example.org>\n"
    )
    (tmp_path / "deb" / "DEBIAN" / "control").write_text(f"{about}Description: test\n")
    package = tmp_path / "mirror" / "package.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "deb", package], check=True, stdout=PIPE)
    content = package.read_bytes()
    (tmp_path / "mirror" / "Packages").write_text(
        f"{about}Filename: ./package.deb\nSize: {len(content)}\n"
        f"SHA256: {sha256(content).hexdigest()}\n"
    )
    (tmp_path / "sources").write_text(f"deb [trusted=yes] file:{tmp_path}/mirror ./\n")
    (tmp_path / "var" / "lib" / "dpkg" / "status").touch()
    stand_in(tmp_path / "bin", "dpkg", f'echo "$@" >> {tmp_path}/dpkg')
    stand_in(tmp_path / "bin", "dpkg-query", "exit 1")
    (tmp_path / "apt.conf").write_text(
        f'Dir::State "{tmp_path}/var/lib/apt"; Dir::Cache "{tmp_path}/var/cache/apt";'
        f'Dir::State::status "{tmp_path}/var/lib/dpkg/status";'
        f'Dir::Etc::SourceList "{tmp_path}/sources"; Dir::Etc::SourceParts "/dev/null";'
        f'Dir::Bin::dpkg "{tmp_path}/bin/dpkg"; APT::Sandbox::User "root"; Dir::Log "{tmp_path}";'
    )
    return environment(tmp_path / "bin", APT_CONFIG=str(tmp_path / "apt.conf"))


@contextmanager
def installing(apt: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [ROOT / "tools" / "packages", "venv"]
    with subprocess.Popen(command, env=apt, stdout=PIPE, stderr=STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@needs_root
@pytest.mark.parametrize("lock", LOCKS)
def test_packages_wait_for_another_program_that_uses_apt(
    apt: dict[str, str], tmp_path: Path, lock: str
) -> None:
    with (tmp_path / "var" / lock).open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        with installing(apt) as process:
            assert process.stdout is not None
            line = ""
            while not line.startswith("Waiting for apt, 300 s at most: "):
                line = process.stdout.readline()
                assert line, "it ended"
            assert f"{tmp_path}/var/{lock}. It is held by process {os.getpid()}" in line
            fcntl.lockf(held, fcntl.LOCK_UN)
            said = process.stdout.read()
            assert process.wait(60) == 0, said
    assert "package.deb" in (tmp_path / "dpkg").read_text()


@pytest.fixture
def no_policy() -> Iterator[Path]:
    """What forbids Debian to start services; the one of this machine is put aside meanwhile."""
    policy, aside = Path("/usr/sbin/policy-rc.d"), Path("/usr/sbin/policy-rc.d.of-this-machine")
    if policy.exists():
        policy.rename(aside)
    try:
        yield policy
    finally:
        if aside.exists():
            aside.rename(policy)


@needs_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_packages_that_are_interrupted_leave_nothing_behind(
    apt: dict[str, str], tmp_path: Path, no_policy: Path, number: int
) -> None:
    """As when a terminal is lost. What forbids Debian to start services would stay for good."""
    with (tmp_path / "var" / LOCKS[0]).open("w") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        with installing(apt) as process:
            assert process.stdout is not None
            while not process.stdout.readline().startswith("Waiting for apt"):
                pass
            assert no_policy.exists()
            process.send_signal(number)
            process.wait(60)
    assert not no_policy.exists()


@needs_root
def test_another_fault_of_apt_is_told_at_once(apt: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "mirror" / "Packages").unlink()
    with installing(apt) as process:
        said, _ = process.communicate(timeout=50)
    assert process.returncode == 1
    assert "Packages" in said
    assert "Waiting" not in said
