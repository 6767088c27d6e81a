"""check, try, import, export, bridge: against simulated devices at the ends of real wires."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from pathlib import Path

import pytest
from support.daemons import edged
from support.echo import until
from support.inboxes import parked_facts
from support.stores import fact

from bridge.config import load
from edged.demo.workbench import Workbench
from store import Store

# --- check -----------------------------------------------------------------------------------


# --- try ---------------------------------------------------------------------------------------


async def test_try_a_scale(station: Path, bench: Workbench) -> None:
    bench.scale.load = 482
    status, out, _ = await edged("try", "scale", "balance", "-c", station, "--seconds", "2")
    assert status == 0
    assert "0.482 kg" in out


async def test_try_a_printer(station: Path, bench: Workbench) -> None:
    status, _, _ = await edged("try", "printer", "labels", "-c", station)
    assert status == 0
    assert len(bench.printer.printed) == 1


async def test_try_a_printer_without_paper(station: Path, bench: Workbench) -> None:
    await bench.act("labels", "paper-out")
    status, out, _ = await edged("try", "printer", "labels", "-c", station)
    assert status == 3
    assert "printer.paper_out" in out
    assert bench.printer.printed == []


async def test_try_a_camera(station: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.jpg"
    status, _, _ = await edged("try", "camera", "portrait", "-c", station, "--output", picture)
    assert status == 0
    assert picture.read_bytes()[:2] == b"\xff\xd8"
    nowhere = tmp_path / "no" / "where.jpg"
    status, out, err = await edged("try", "camera", "portrait", "-c", station, "--output", nowhere)
    assert (status, err) == (0, "")
    assert f"not kept in {nowhere}: No such file or directory" in out


async def test_try_a_reader_masks_the_number(station: Path, bench: Workbench) -> None:
    trying = asyncio.create_task(edged("try", "badge_reader", "door", "-c", station))
    while not trying.done():
        await asyncio.sleep(0.3)
        await bench.act("door", "badge", "0420001234004")
    status, out, err = trying.result()
    assert status == 0
    assert "13 digits" in out
    assert "0420001234" not in out + err


async def test_try_what_is_not_there(station: Path, bench: Workbench) -> None:
    await bench.act("balance", "unplug")
    status, out, _ = await edged("try", "scale", "balance", "-c", station, "--seconds", "1.5")
    assert status == 3
    assert "device.unplugged" in out
    status, _, err = await edged("try", "scale", "balence", "-c", station)
    assert status == 2
    assert "'balance'" in err


# --- import and export -------------------------------------------------------------------------


async def test_import_then_export(station: Path, tmp_path: Path) -> None:
    members = tmp_path / "members.csv"
    members.write_text("badge;id;first_name;verdict\n0420001234004;12;Camille;ok\n")
    status, out, err = await edged("import", "-c", station, members)
    assert (status, out, err) == (0, "1 member\n", "")
    store = await Store.open(tmp_path / "data", clock=lambda: "synced")
    assert store.directory.count == 1
    await store.outbox.put("badge", fact())
    # The store is open, as it is while the daemon runs.
    status, out, err = await edged("export", "facts", "-c", station)
    assert (status, err) == (0, "")
    assert json.loads(out)["kind"] == "badge"
    status, out, err = await edged("import", "-c", station, members)
    assert status == 1
    assert "store.busy" in err
    await store.close()
    target = tmp_path / "facts.csv"
    status, out, _ = await edged("export", "facts", "--csv", "-o", target, "-c", station)
    assert (status, out) == (0, f"1 fact in {target}\n")
    assert target.read_text().startswith("v;id;epoch;seq;")


async def test_an_export_that_fails_leaves_the_last_one(station: Path, tmp_path: Path) -> None:
    target = tmp_path / "facts.csv"
    target.write_text("yesterday's")
    status, _, err = await edged("export", "facts", "-o", target, "-c", station)
    assert status == 1
    assert "store.missing" in err
    assert target.read_text() == "yesterday's"
    await (await Store.open(tmp_path / "data", clock=lambda: "synced")).close()
    status, _, err = await edged("export", "facts", "-o", tmp_path / "no" / "where", "-c", station)
    assert (status, err) == (1, f"edged export: {tmp_path}/no/where: No such file or directory\n")


async def test_parked_facts_that_may_not_be_read_are_a_sentence(tmp_path: Path) -> None:
    from edged.demo.files import write_bridge

    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    folder = load(file).inbox.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the folder should be")
    status, out, err = await edged("bridge", "--parked", "-c", file)
    assert (status, out) == (1, "")
    assert err.startswith(f"edged bridge: {folder}: ")
    assert err.endswith(": Not a directory. Run this as the bridge's user.\n")
    (folder.parent / "badge.key").write_text("ab" * 32)
    file.write_text(file.read_text() + '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n')
    status, out, err = await edged("bridge", "-c", file)
    assert (status, out) == (2, "")
    assert err.startswith(f"{file}: [inbox] folder: {folder} cannot be used: File exists. The ")


@pytest.mark.parametrize("content", [b"", b"no database at all" * 999])
async def test_a_store_that_is_none_is_a_sentence(
    station: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "edged.sqlite").write_bytes(content)
    status, out, err = await edged("export", "facts", "-c", station)
    assert (status, out) == (1, "")
    assert err.startswith("edged export: ")
    assert "store.unreadable" in err


async def test_a_store_with_a_damaged_page_is_a_sentence(station: Path, tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", clock=lambda: "synced")
    await asyncio.gather(*(store.outbox.put("badge", fact(n)) for n in range(300)))
    await store.close()
    file = tmp_path / "data" / "edged.sqlite"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle:] = b"\xff" * (len(content) - middle)
    file.write_bytes(content)
    status, out, err = await edged("export", "facts", "-c", station)
    assert (status, out) == (1, "")
    assert "store.unreadable" in err


async def test_a_file_that_is_not_there_has_no_line(station: Path, tmp_path: Path) -> None:
    status, _, err = await edged("import", "-c", station, tmp_path / "none.csv")
    assert status == 2
    assert err.startswith(f"{tmp_path}/none.csv: No such file")


async def test_a_reader_that_has_enough_is_no_failure(station: Path, tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", clock=lambda: "synced")
    await asyncio.gather(*(store.outbox.put("badge", fact(n)) for n in range(1000)))
    await store.close()
    command = f"{sys.executable} -m edged export facts -c {station}; echo $? >&2"
    process = await asyncio.create_subprocess_shell(
        f"({command}) | head -1 >/dev/null", stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert err == b"0\n"


async def test_a_bad_line_imports_nothing(station: Path, tmp_path: Path) -> None:
    members = tmp_path / "members.csv"
    members.write_text("badge;id;first_name;verdict\n4,2E+11;12;A;ok\n1;x;B;maybe\n")
    status, _, err = await edged("import", "-c", station, members)
    assert status == 2
    assert "line 2" in err
    assert "line 3" in err
    assert "Nothing was imported." in err


async def test_an_import_tells_which_weights_have_no_label_and_of_how_many(
    station: Path, tmp_path: Path
) -> None:
    products, rules = tmp_path / "p.csv", tmp_path / "r.csv"
    products.write_text(
        "id;name;price;barcode\n1;Pommes;2,95;2112345000008\n2;Prunes;3;2112346000007\n"
    )
    heading = "sequence;type;encoding;pattern\n"
    rules.write_text(f"{heading}36;weight;ean13;21.....{{NNDD}}\n")
    status, out, err = await edged("import", "-c", station, products)
    assert (status, out) == (0, "2 products\n")
    assert "rules.csv" in err
    status, _, err = await edged("import", "-c", station, products, rules)
    (line,) = err.splitlines()  # one fault of two products
    assert line.startswith("Pommes")
    assert "barcode.too_coarse" in line
    assert re.search(r"13.464\D*14.961\D*40\D*15\D*0.041", line), line
    assert "rules.csv" not in err
    rules.write_text(f"{heading}10;product;any;2[0-9]{{12}}\n36;weight;ean13;21.....{{NNDDD}}\n")
    status, _, err = await edged("import", "-c", station, rules)
    assert status == 0
    assert "2[0-9]{12}" in err
    assert "21.....{NNDDD}" in err


async def test_an_import_tries_the_range_of_the_stations_own_scale(
    station: Path, tmp_path: Path
) -> None:
    text = station.read_text()
    screen = '\n[screens.scale]\nscale = "balance"\nprinter = "labels"\nmax_g = 6000\n'
    station.write_text(text + screen)
    products, rules = tmp_path / "p.csv", tmp_path / "r.csv"
    products.write_text("id;name;price;barcode\n1;Pommes;2,95;2112345000008\n")
    rules.write_text("sequence;type;encoding;pattern\n36;weight;ean13;21.....{NDDD}\n")
    status, _, err = await edged("import", "-c", station, products, rules)
    assert (status, err) == (0, "")
    station.write_text(text)
    _, _, err = await edged("import", "-c", station, products, rules)
    assert "barcode.too_heavy" in err


async def test_letters_that_are_unclear_are_asked_about_on_the_command_line(
    station: Path, tmp_path: Path
) -> None:
    products = tmp_path / "p.csv"
    text = "id;name;price;barcode\n1;Iñaki;2,95;2112345000008\n"
    products.write_bytes(text.encode("mac-roman"))
    status, _, err = await edged("import", "-c", station, products)
    assert status == 2
    assert "'Iñaki' with --encoding mac-roman" in err
    status, out, _ = await edged("import", "-c", station, "--encoding", "mac-roman", products)
    assert (status, out) == (0, "1 product\n")


async def test_an_export_of_no_facts_has_its_header(station: Path, tmp_path: Path) -> None:
    await (await Store.open(tmp_path / "data", clock=lambda: "synced")).close()
    status, out, err = await edged("export", "facts", "--csv", "-c", station)
    assert (status, out, err) == (0, "v;id;epoch;seq;at;clock;boot;up;kind;state;why\n", "")


# --- bridge ------------------------------------------------------------------------------------


async def test_bridge_check(tmp_path: Path) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text('[mqtt]\nurl = "mqtt://x"\n[[site]]\nname = "demo"\nbadge_key_fil = "k"\n')
    status, _, err = await edged("bridge", "--check", "-c", file)
    assert status == 2
    assert "badge_key_file" in err
    assert "odoo" in err


async def test_bridge_check_looks_at_certificates(tmp_path: Path) -> None:
    from edged.demo.files import write_bridge

    file = write_bridge(tmp_path, odoo_url="https://127.0.0.1:1", password="x")
    (tmp_path / "ca.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    file.write_text(
        file.read_text().replace("[site.odoo]", f'[site.odoo]\nca = "{tmp_path / "ca.key"}"')
        + '\n[mqtt]\nurl = "mqtts://127.0.0.1:1883"\nca = "/no/ca.crt"\n'
    )
    status, out, err = await edged("bridge", "--check", "-c", file)
    assert (status, out) == (3, "")
    port, broker, odoo = err.splitlines()
    assert port.startswith(f"{file}: [mqtt] url: mqtts://127.0.0.1:1883: ")
    assert broker.startswith(f"{file}: [mqtt] ca: /no/ca.crt: no such file. ")
    assert odoo.startswith(f"{file}: [site.odoo] (no. 1) ca: {tmp_path / 'ca.key'} holds a private")


async def test_bridge_without_its_secrets(tmp_path: Path) -> None:
    from edged.demo.files import write_bridge

    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    text = file.read_text() + '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n'
    file.write_text(text)
    assert (await edged("bridge", "--check", "-c", file))[0] == 0
    status, _, err = await edged("bridge", "-c", file)
    assert status == 2
    assert "badge.key" in err


async def test_a_fact_that_nobody_parked(tmp_path: Path) -> None:
    from edged.demo.files import write_bridge

    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    file.write_text(file.read_text() + '\n[mqtt]\nurl = "mqtt://127.0.0.1:1"\n')
    assert await edged("bridge", "--parked", "-c", file) == (0, "", "")
    status, _, err = await edged("bridge", "--retry", "no-such", "-c", file)
    assert status == 2
    assert "no-such" in err


async def test_a_parked_fact_is_one_line_with_odoos_own_words(tmp_path: Path) -> None:
    """And needs no broker, as in the one-box mode, where the environment gives its address."""
    from edged.demo.files import write_bridge

    file = write_bridge(tmp_path, odoo_url="http://127.0.0.1:1", password="x")
    assert "[mqtt]" not in file.read_text()
    words = "hr.attendance.load: refused", "Il manque\n\nl’employé.\n"
    first, second = await parked_facts(load(file).inbox.folder, *words, count=2)
    status, out, err = await edged("bridge", "--parked", "-c", file)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == [first, second]
    for line in lines:
        assert line.endswith("label: hr.attendance.load: refused: Il manque l’employé.")
    assert (await edged("bridge", "--check", "-c", file))[0] == 0
    assert (await edged("bridge", "--retry", first, "-c", file))[0] == 0
    assert (await edged("bridge", "--drop", second, "-c", file))[0] == 0
    assert await edged("bridge", "--parked", "-c", file) == (0, "", "")
    status, _, err = await edged("bridge", "-c", file)
    assert status == 2
    assert "[mqtt] url" in err


# --- demo --------------------------------------------------------------------------------------


async def test_a_demo_whose_workbench_has_no_port_ends_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with asyncio.timeout(30):
            status, out, err = await edged(
                "demo", "--no-browser", "--port=0", f"--bench-port={port}", f"--dir={tmp_path}"
            )
    assert (status, out) == (1, "")
    assert f"--bench-port: {port} is used by another program" in err
    assert "Traceback" not in err


async def test_ctrl_c_ends_a_demo_in_order(tmp_path: Path) -> None:
    """A terminal sends it to all processes; here the bridge is still loading its modules."""

    def bridge_is_loading() -> bool:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ended
                command = (process / "cmdline").read_text().split("\0")
                if command[1:4] == ["-m", "edged", "bridge"] and str(tmp_path) in command[5]:
                    assert os.getsid(int(process.name)) != demo.pid, "it gets Ctrl-C itself"
                    return "pydantic_core" in (process / "maps").read_text()
        return False

    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edged",
        "demo", "--no-browser", "--port=0", "--bench-port=0", f"--dir={tmp_path}",
        stdout=PIPE, stderr=PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        await until(bridge_is_loading, seconds=40)
        os.killpg(demo.pid, signal.SIGINT)
        _, err = await demo.communicate()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGKILL)
    said = err.decode()
    assert demo.returncode == 0, said
    assert "Traceback" not in said
    assert "ERROR" not in said
