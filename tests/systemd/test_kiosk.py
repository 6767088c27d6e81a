"""The kiosk's unit under a systemd that runs: what it forbids, and that the screen works under it.

One container for all: cage draws on a screen that it makes up, everything else is the unit's own.
"""

import sys
from pathlib import Path

import pytest
from support.container import HERE, ROOT, in_container, needs_container
from support.kiosks import SCREEN

pytestmark = [*needs_container, pytest.mark.timeout(300)]

DROP_IN = """[Service]
Environment=WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1
# A container has no virtual terminals.
TTYPath=
TTYReset=no
TTYVHangup=no
TTYVTDisallocate=no
StandardInput=null
UtmpIdentifier=
"""
STATION = f"""
[station]
site = "demo"
name = "borne-1"
data = "/var/tmp/station"
{SCREEN}"""

PYTHON = HERE / Path(sys.executable).relative_to(ROOT)

# The watch needs nothing but Debian's Python, so it gets nothing else. The daemon is a part of the
# scenery here: it runs from this checkout, outside the unit.
SCRIPT = f"""
mkdir -p /opt/edged/.venv/bin /run/systemd/system/edged-kiosk.service.d
cp -r {HERE}/edged {HERE}/mqtt /opt/edged
printf '#!/bin/sh\\nPYTHONPATH=/opt/edged exec /usr/bin/python3 -m edged "$@"\\n' \\
    >/opt/edged/.venv/bin/edged
chmod -R go+rX /opt/edged
chmod 755 /opt/edged/.venv/bin/edged
cp {HERE}/systemd/edged-kiosk.service /run/systemd/system
cp /run/guest/drop-in /run/systemd/system/edged-kiosk.service.d/test.conf
systemd-sysusers {HERE}/systemd/edged-sysusers.conf
systemctl daemon-reload
systemctl start systemd-logind
systemd-run --quiet --unit station --setenv=PYTHONPATH={HERE} \\
    {PYTHON} -m edged run -c /run/guest/station.toml
systemctl start edged-kiosk

mine() {{ pgrep -u edged-kiosk "$@" || true; }}
token() {{ mine -a . | grep -o 'kiosk=[0-9a-f]*' | head -n 1 | cut -d= -f2; }}
alive() {{  # a page whose token is not $1
    for _ in $(seq 150); do
        now=$(token || true)
        if [ -n "$now" ] && [ "$now" != "${{1:-}}" ] &&
            /usr/bin/python3 -c "import urllib.request as r
print(r.urlopen('http://127.0.0.1:8080/alive/$now').read())" 2>/dev/null | grep -q '[0-9]'
        then return 0; fi
        sleep 0.5
    done
    journalctl --no-pager -t edged-kiosk | tail -n 60
    return 1
}}

alive
first=$(token)
slice=user-$(id -u edged-kiosk).slice
renderers=$(mine -f -- --type=renderer)
proc=/proc/$(echo "$renderers" | tail -n 1)
echo "own-users=$([ "$(readlink $proc/ns/user)" != "$(readlink /proc/1/ns/user)" ] && echo yes)"
echo "own-processes=$(grep NSpid $proc/status | cut -f3)"
echo "filtered=$(grep Seccomp: $proc/status | cut -f2)"
echo "no-new-privileges=$(grep NoNewPrivs: $proc/status | cut -f2)"
watch=/proc/$(mine -f kiosk-watch | head -n 1)
echo "oom=$(cat $proc/oom_score_adj) $(cat $watch/oom_score_adj)"
echo "limits=$(systemctl show -P TasksMax $slice)"
inside="nsenter -m -t $(mine -x cage | head -n 1) setpriv --reuid edged-kiosk --clear-groups"
for path in /usr/x /etc/x /var/x /root /home; do
    $inside touch $path 2>/dev/null && echo "writes=$path"
    $inside ls $path >/dev/null 2>&1 && echo "sees=$path"
done
kill -9 $renderers
alive "$first"
echo again=yes
systemctl stop edged-kiosk
for _ in $(seq 40); do
    [ -n "$(mine -f 'chromium|cage|kiosk-watch')" ] || break
    sleep 0.5
done
echo "left=$(mine -f -a 'chromium|cage|kiosk-watch' | cut -c1-80 | tr '\\n' ';')"
echo "restarts=$(systemctl show -P NRestarts edged-kiosk)"
echo 'KIOSK_PORT=80x' >/run/guest/kiosk.env
mkdir -p /etc/edged
cp /run/guest/kiosk.env /etc/edged/kiosk.env
systemctl start edged-kiosk
sleep 5
echo "mistaken=$(systemctl show -P ActiveState edged-kiosk)"
"""


async def test_the_screen_works_in_its_sandbox_and_is_healed(tmp_path: Path) -> None:
    (tmp_path / "drop-in").write_text(DROP_IN, "utf-8")
    (tmp_path / "station.toml").write_text(STATION, "utf-8")
    status, told = await in_container(SCRIPT, tmp_path, within=240)
    assert status == 0, told
    lines = [line.partition("=") for line in told.splitlines() if "=" in line]
    known = {key: value for key, _, value in lines}
    # Chromium's own sandbox, inside ours: other users, other processes, its own filter.
    assert known["own-users"] == "yes", told
    assert known["own-processes"].isdecimal()
    assert known["filtered"] == "2"
    assert known["no-new-privileges"] == "1"
    assert known["oom"] == "300 200"
    assert known["limits"] == "1000"
    assert "writes" not in known
    assert "sees" not in known
    assert known["again"] == "yes"
    assert known["left"] == ""
    assert known["restarts"] == "0"
    assert known["mistaken"] == "failed"
