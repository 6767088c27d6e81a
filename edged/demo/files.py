"""The configuration that the demo writes: also an example of a whole station, one machine.

The one rule: what stands here is what a shop would write; only the devices' addresses differ.
"""

from pathlib import Path

STATION = """\
# A whole station on one machine: entrance, self-service scale and photo booth.

[station]
site = "demo"
name = "borne-1"
coop = "La Coop"
language = "fr"
timezone = "Europe/Paris"
data = "{data}"
badge_key_file = "{badge_key}"
clock = "trusted"

[kiosk]
port = {port}

{mqtt}

[badge_reader.door]
driver = "serial-scanner"
port = "{door}"

[badge_reader.booth-reader]
driver = "serial-scanner"
port = "{booth_reader}"

[scale.balance]
driver = "mettler-8217"
port = "{balance}"

[printer.labels]
driver = "escpos"
port = "{labels}"

[camera.portrait]
driver = "mjpeg"
url = "{portrait}"

[screens.entrance]
reader = "door"

[screens.scale]
scale = "balance"
printer = "labels"
min_g = 10

[screens.photo]
reader = "booth-reader"
camera = "portrait"
"""

EMBEDDED = """\
[mqtt]
broker = "embedded"
values = ["balance"]

[bridge]
config = "{bridge}"
"""

CENTRAL = """\
[mqtt]
url = "{url}"
values = ["balance"]
"""

BRIDGE = """\
# The bridge between this shop's stations and its Odoo.

[inbox]
folder = "{inbox}"

[[site]]
name = "demo"
badge_key_file = "{badge_key}"

[site.odoo]
url = "{odoo}"
db = "demo"
login = "bridge"
password_file = "{password}"
profile = "stock"
"""


def write_station(folder: Path, *, port: int, mqtt_url: str | None, urls: dict[str, str]) -> Path:
    """`folder`/station.toml. `mqtt_url` None: a private broker and the bridge beside it."""
    mqtt = (
        EMBEDDED.format(bridge=folder / "bridge.toml")
        if mqtt_url is None
        else CENTRAL.format(url=mqtt_url)
    )
    path = folder / "station.toml"
    path.write_text(
        STATION.format(
            data=folder / "station",
            badge_key=folder / "badge.key",
            port=port,
            mqtt=mqtt.rstrip(),
            **urls,
        ),
        encoding="utf-8",
    )
    return path


def write_bridge(folder: Path, *, odoo_url: str, password: str) -> Path:
    """`folder`/bridge.toml and the file with the password it names."""
    secret = folder / "odoo.password"
    secret.touch(mode=0o600)
    secret.write_text(password + "\n", encoding="utf-8")
    path = folder / "bridge.toml"
    path.write_text(
        BRIDGE.format(
            inbox=folder / "bridge",
            badge_key=folder / "badge.key",
            odoo=odoo_url,
            password=secret,
        ),
        encoding="utf-8",
    )
    return path
