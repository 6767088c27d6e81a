"""RFID readers and scanners on real ptys and TCP, under their supervisor."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.readers import kept, listening, until

from badge_reader import BadgeReader
from badge_reader.rdm6300 import Rdm6300Reader, Rdm6300Settings
from badge_reader.scanner import ScannerSettings, SerialScanner
from badge_reader.simulate import Rdm6300Simulator, ScannerSimulator
from devices import State
from devices.registry import load_decoder, load_driver, load_simulator
from devices.simulate import PtyHost, TcpHost

CARD, OTHER = "0A007734F9", "62E3086CED"


async def up(reader: BadgeReader) -> None:
    await until(lambda: reader.health.get().state is State.UP)


async def test_a_card_in_a_badge_out(tmp_path: Path) -> None:
    simulator = Rdm6300Simulator()
    path = tmp_path / "rfid"
    reader = Rdm6300Reader("entrance", Rdm6300Settings(port=str(path)))
    async with PtyHost(path, simulator, baud=9600), kept(reader), listening(reader) as badges:
        await up(reader)
        simulator.present(CARD)
        await until(lambda: badges)
        simulator.present(OTHER)
        await until(lambda: len(badges) == 2)
    assert [badge.text for badge in badges] == ["0007812345", "3808980205"]
    assert [badge.raw for badge in badges] == [CARD, OTHER]


async def test_a_card_held_is_one_badge(tmp_path: Path) -> None:
    simulator = Rdm6300Simulator()
    settings = Rdm6300Settings(port=str(tmp_path / "rfid"), uid="hex8", repeat_s=30)
    reader = Rdm6300Reader("entrance", settings)
    async with PtyHost(tmp_path / "rfid", simulator), kept(reader), listening(reader) as badges:
        await up(reader)
        await simulator.hold(CARD, 0.5)
        simulator.present(OTHER)  # what comes after it has passed it
        await until(lambda: len(badges) == 2)
    assert [badge.text for badge in badges] == ["007734F9", "E3086CED"]


async def test_a_card_away_and_back_is_two_badges(tmp_path: Path) -> None:
    simulator = Rdm6300Simulator()
    settings = Rdm6300Settings(port=str(tmp_path / "rfid"), repeat_s=0.5)
    reader = Rdm6300Reader("entrance", settings)
    async with PtyHost(tmp_path / "rfid", simulator), kept(reader), listening(reader) as badges:
        await up(reader)
        simulator.present(CARD)
        await until(lambda: len(badges) == 1)
        await asyncio.sleep(0.6)
        simulator.present(CARD)
        await until(lambda: len(badges) == 2)


async def test_unplugged_and_plugged_again(tmp_path: Path) -> None:
    simulator = Rdm6300Simulator()
    reader = Rdm6300Reader("entrance", Rdm6300Settings(port=str(tmp_path / "rfid")))
    async with kept(reader), listening(reader) as badges:
        await until(lambda: reader.health.get().state is State.ABSENT)
        async with PtyHost(tmp_path / "rfid", simulator) as host:
            await up(reader)
            simulator.say(simulator.frame(CARD)[:7])
            host.unplug()
            await until(lambda: reader.health.get().state is not State.UP)
            host.plug()
            await up(reader)
            simulator.say(simulator.frame(CARD)[7:])  # the rest of a frame is no card
            simulator.present(OTHER)
            await until(lambda: badges)
    assert [badge.raw for badge in badges] == [OTHER]


async def test_a_flood_of_garbage_neither_stops_nor_fools_the_reader(tmp_path: Path) -> None:
    simulator = Rdm6300Simulator()
    reader = Rdm6300Reader("entrance", Rdm6300Settings(port=str(tmp_path / "rfid")))
    async with PtyHost(tmp_path / "rfid", simulator), kept(reader), listening(reader) as badges:
        await up(reader)
        for _ in range(200):
            simulator.say(bytes(range(256)) * 4)
            await asyncio.sleep(0)
        await until(lambda: simulator.present(CARD) or badges)
    assert {badge.raw for badge in badges} == {CARD}


async def test_bytes_that_are_no_badge_leave_a_trace_until_one_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulator = Rdm6300Simulator()
    reader = Rdm6300Reader("entrance", Rdm6300Settings(port=str(tmp_path / "rfid")))
    async with PtyHost(tmp_path / "rfid", simulator), kept(reader), listening(reader) as badges:
        await up(reader)
        for _ in range(3):
            simulator.say(b"\x020A007734F9B1\x03")
        await until(lambda: reader.health.get().key == "reader.garbled")
        assert reader.health.get().params == {"error": "checksum", "bytes": "14: 02 … 31 03"}
        simulator.say(b"\x02" + b"0" * 12 + b"\x03")
        await until(lambda: reader.health.get().params["error"] == "zero")
        assert badges == []
        simulator.present(CARD)
        await until(lambda: badges)
        assert reader.health.get().key == ""
    lines = [line.getMessage() for line in caplog.records if "no badge" in line.getMessage()]
    assert lines == ["entrance: bytes that are no badge (checksum; 14: 02 … 31 03)"]


async def test_a_scanner_on_the_network(tmp_path: Path) -> None:
    simulator = ScannerSimulator()
    async with TcpHost(simulator) as host:
        settings = ScannerSettings(port=f"socket://127.0.0.1:{host.port}")
        reader = SerialScanner("scanner", settings)
        async with kept(reader), listening(reader) as badges:
            await up(reader)
            await until(lambda: simulator.scan("first") or badges)
            simulator.miss()
            simulator.prefix, simulator.suffix = "]Q1", "\r\n"
            simulator.scan("https://coop.example/é")
            await until(lambda: badges[-1].text == "https://coop.example/é")
    assert {badge.text for badge in badges} == {"first", "https://coop.example/é"}


async def test_a_scanner_without_an_end_of_line(tmp_path: Path) -> None:
    simulator = ScannerSimulator()
    simulator.suffix = ""
    # Slow enough a line that a code is longer than the silence that ends it.
    path = tmp_path / "scanner"
    reader = SerialScanner("scanner", ScannerSettings(port=str(path), baud=1200, idle_ms=300))
    async with PtyHost(path, simulator, baud=1200), kept(reader), listening(reader) as badges:
        await up(reader)
        simulator.scan("0420001234004" * 5)
        await until(lambda: badges)
        simulator.scan("3017620422003")
        await until(lambda: len(badges) == 2)
    assert [badge.text for badge in badges] == ["0420001234004" * 5, "3017620422003"]


async def test_a_scan_under_way_when_the_line_is_opened_is_none(tmp_path: Path) -> None:
    simulator = ScannerSimulator()
    path = tmp_path / "scanner"
    reader = SerialScanner("scanner", ScannerSettings(port=str(path), baud=1200, idle_ms=300))
    async with PtyHost(path, simulator, baud=1200), listening(reader) as badges:
        simulator.scan("1234567890" * 24)  # two seconds
        await asyncio.sleep(0.5)
        async with kept(reader):
            await up(reader)
            simulator.scan("3017620422003")
            await until(lambda: badges)
    assert [badge.text for badge in badges] == ["3017620422003"]


async def test_a_scanner_that_ends_its_scans_has_none_in_two_pieces(tmp_path: Path) -> None:
    """The second piece of a badge may be somebody's number."""
    simulator = ScannerSimulator()
    settings = ScannerSettings(port=str(tmp_path / "scanner"), idle_ms=20)
    reader = SerialScanner("scanner", settings)
    async with PtyHost(tmp_path / "scanner", simulator), kept(reader), listening(reader) as badges:
        await up(reader)
        await until(lambda: simulator.scan("0420001234004") or badges)
        ended = simulator.suffix
        for rest in ("234004", "123456"):
            simulator.suffix = ""
            simulator.scan("0420001")
            await asyncio.sleep(0.3)
            simulator.suffix = ended
            simulator.scan(rest)
            await until(lambda: simulator.scan("0420001234011") or badges[-1].text[-1] == "1")
    assert {badge.text for badge in badges} == {"0420001234004", "0420001234011"}


async def test_a_7e1_line_on_a_pty_opens_again_and_again(tmp_path: Path) -> None:
    simulator = ScannerSimulator()
    settings = ScannerSettings(port=str(tmp_path / "scanner"), bits=7, parity="E")
    async with PtyHost(tmp_path / "scanner", simulator):
        for _ in range(3):
            reader = SerialScanner("scanner", settings)
            async with kept(reader), listening(reader) as badges:
                await up(reader)
                simulator.scan("3017620422003")
                await until(lambda badges=badges: badges)


@pytest.mark.parametrize(
    "wrong", [{}, {"port": "x", "uid": "dec11"}, {"port": "x", "repeat_s": 0.1}, {"prot": "x"}]
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rdm6300Settings.model_validate(wrong)


def test_readers_simulators_and_decoders_are_found_by_name() -> None:
    assert load_driver("badge_reader", "rdm6300") is Rdm6300Reader
    assert load_driver("badge_reader", "serial-scanner") is SerialScanner
    assert load_simulator("rdm6300") is Rdm6300Simulator
    assert load_simulator("serial-scanner") is ScannerSimulator
    for protocol in ("rdm6300", "id12", "serial-scanner", "hid-wedge", "uid-conventions"):
        assert callable(load_decoder(protocol))
