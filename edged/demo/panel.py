"""The workbench's page: plain forms to badge, weigh, unplug, and what Odoo has been told.

The one rule: it exists in the demo only and listens on 127.0.0.1.
"""

from html import escape
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from bridge.standin.demo import BADGES
from edged.demo.stage import Stage
from edged.demo.workbench import UnknownAct

STYLE = """
body{font:16px/1.5 "DejaVu Sans",sans-serif;background:#f6f3ec;color:#17211d;margin:2rem;
max-width:70rem}
h1{font-size:1.6rem} h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
form{display:inline} button{font:inherit;padding:.5rem .9rem;margin:.15rem;border:1px solid #17211d;
border-radius:.5rem;background:#fff;cursor:pointer} button:hover{background:#1fa97f}
pre{background:#fff;padding:1rem;border-radius:.5rem;overflow:auto} a{color:#1f3a5f}
"""

WEIGHTS = ("126", "482", "1250", "3", "16000", "-20")


def build(stage: Stage) -> Starlette:
    """GET / is the page, POST /act does one thing, GET /odoo is the stand-in's state as JSON."""

    async def page(_: Request) -> Response:
        return HTMLResponse(_page(stage))

    async def act(request: Request) -> Response:
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        try:
            await stage.bench.act(form.get("device", ""), form.get("do", ""), form.get("value", ""))
        except UnknownAct as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return RedirectResponse("/", status_code=303)

    async def odoo(_: Request) -> Response:
        return JSONResponse(stage.odoo.state())

    return Starlette(
        routes=[
            Route("/", page),
            Route("/act", act, methods=["POST"]),
            Route("/odoo", odoo),
        ]
    )


def _button(label: str, device: str, do: str, value: str = "") -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(text)}">'
        for name, text in (("device", device), ("do", do), ("value", value))
    )
    return f'<form method="post" action="/act">{hidden}<button>{escape(label)}</button></form>'


def _page(stage: Stage) -> str:
    screens = " · ".join(
        f'<a href="{stage.url}/{page}" target="_blank">{page}</a>'
        for page in ("entrance", "scale", "photo", "status")
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>edged demo</title>',
        f"<style>{STYLE}</style><h1>edged: the demo's workbench</h1><p>Screens: {screens}</p>",
        "<h2>Entrance: show a badge</h2>",
        *(_button(who, "door", "badge", number) for who, number in BADGES.items()),
        "<h2>Photo booth: show a badge</h2>",
        *(_button(who, "booth-reader", "badge", number) for who, number in BADGES.items()),
        "<h2>Scale: put something on it</h2>",
        *(_button(f"{grams} g", "balance", "put", grams) for grams in WEIGHTS),
        _button("nothing", "balance", "take"),
        _button("shake", "balance", "move"),
        _button("let it rest", "balance", "rest"),
        "<h2>Label printer</h2>",
        _button("no paper left", "labels", "paper-out"),
        _button("paper low", "labels", "paper-low"),
        _button("new roll", "labels", "new-roll"),
        _button("open the cover", "labels", "open"),
        _button("close it", "labels", "close"),
        "<h2>Plugs</h2>",
    ]
    for device in stage.bench.devices:
        parts += [
            f"<p>{device}: ",
            _button("unplug", device, "unplug"),
            _button("plug in", device, "plug"),
            _button("go silent", device, "silent"),
            _button("speak again", device, "speak"),
        ]
    parts.append('<h2>Odoo</h2><p><a href="/odoo">What the stand-in Odoo was told</a>')
    return "".join(parts)
