"""The front page of the endpoints: the state of the firm at a glance, for a person."""

from html import escape
from typing import Final

from firm.ops.snapshot import Snapshot

_STYLE: Final = """
:root{color-scheme:light dark;--bg:#f5f6f8;--ink:#17212c;--soft:#55616e;--line:#dfe3e8;--main:#1f5599;
--ok:#1b7a4b;--degraded:#8a5a00;--down:#b42318;--unknown:#55616e}
@media(prefers-color-scheme:dark){:root{--bg:#0e1318;--ink:#e5eaf0;--soft:#9aa6b3;--line:#2b3540;--main:#74a9f2;
--ok:#57c98e;--degraded:#f0c264;--down:#ff7d73;--unknown:#9aa6b3}}
body{margin:0 auto;max-width:760px;padding:48px 24px;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
h1{margin:0;font-size:28px;font-weight:650;letter-spacing:-.01em}
h1 b{font-weight:650}p{margin:6px 0 24px;color:var(--soft)}
table{width:100%;border-collapse:collapse;border-top:2px solid var(--ink)}
td{padding:8px 16px 8px 0;border-bottom:1px solid var(--line);vertical-align:top}
td:nth-child(2){font-weight:600;white-space:nowrap}td:last-child{color:var(--soft);overflow-wrap:anywhere}
.ok{color:var(--ok)}.degraded{color:var(--degraded)}.down{color:var(--down)}.unknown{color:var(--unknown)}
nav{margin-top:24px;display:flex;gap:20px}a{color:var(--main)}
"""


def page(snapshot: Snapshot) -> str:
    """A small page that reloads itself every five seconds and needs nothing else."""
    health = snapshot.health()
    ready = health.readiness().ready
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="{part.state}">{part.state}</td>'
        f"<td>{escape(part.reason)}</td></tr>"
        for name, part in health.components.items()
    )
    links = "".join(
        f'<a href="{path}">{path}</a>' for path in ("/status", "/health", "/ready", "/live", "/metrics")
    )
    figures = snapshot.figures
    equity = "not marked yet" if figures.equity is None else f"${figures.equity:,.0f}"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>firm: {health.status}</title><style>{_STYLE}</style></head><body>"
        f'<h1>The firm is <b class="{health.status}">{health.status}</b>'
        f", {'ready' if ready else 'not ready'} to trade</h1>"
        f"<p>{figures.entries:,} entries in the log, equity {equity}</p>"
        f"<table>{rows}</table><nav>{links}</nav></body></html>"
    )
