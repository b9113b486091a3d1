"""What a person at the terminal sees: the stages of the start, the run as it goes, and how it ended."""

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from firm.errors import StaleEpoch

NS = 1_000_000_000


class View:
    """Prints stages as they begin and, on a terminal, a live table; elsewhere a line every few seconds."""

    LINE_EVERY_S = 5.0

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._console = Console(file=sys.stderr, highlight=False)
        self._began = time.monotonic()
        self._live: Live | None = None
        self._last_stage = ""
        self._last_line = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def stage(self, text: str) -> None:
        """A step of the start or the end."""
        if not self._quiet and text != self._last_stage:
            self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {text}")
        self._last_stage = text

    def progress(self, stage: str, status: dict[str, Any] | None) -> None:
        """The firm as it goes; `status` is the reader's, None before it can be read."""
        if self._quiet:
            return
        if not status or not status.get("cycles"):
            self.stage(stage)
            return
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(console=self._console, refresh_per_second=4)
                self._live.start()
            self._live.update(_table(status))
        elif time.monotonic() - self._last_line > self.LINE_EVERY_S:
            self._last_line = time.monotonic()
            self.stage(_line(status))

    def failed(self, error: str, run_dir: Path) -> None:
        """The firm ended badly; what is committed is safe. Nothing is resumed where a newer leader trades."""
        self._end_live()
        resume = "" if error.startswith(StaleEpoch.__name__) else ": start there to resume"
        Console(file=sys.stderr, highlight=False, soft_wrap=True).print(
            f"firm: the run failed: {error}\nWhat was committed is safe in {run_dir}{resume}.", markup=False
        )

    def summary(self, run_dir: Path) -> None:
        """The closing summary, on standard output."""
        self._end_live()
        summary = json.loads((run_dir / "summary.json").read_text())
        out = Console(highlight=False, soft_wrap=True)
        refused = summary["orders_refused"]
        lines = {
            "data": summary["data_label"],
            "log": f"{summary['events']:,} entries, head {summary['log_head'][:16]}…",
            "cycles": f"{summary['cycles']:,} ({summary['decisions']:,} decisions)",
            "signals": ", ".join(f"{n:,} {a}" for a, n in summary["signals_by_agent"].items()),
            "orders": f"{summary['orders_proposed']:,} proposed, {sum(refused.values()):,} refused, "
            f"{summary['orders_sent']:,} sent, {summary['fills']:,} fills",
            "refusals": ", ".join(f"{n:,} {reason}" for reason, n in refused.items()) or "none",
            "equity": _equity(summary),
            "VaR 99 %": _var(summary["var_99"]),
            "tick to order": _latency(summary["tick_to_order_ms"]),
            "books": "agree with the broker's"
            if summary["books_agree"]
            else "DIFFER from the broker's: see the report",
        }
        for name, text in lines.items():
            out.print(f"{name:>14}  {text}", markup=False)
        out.print(f"\n  report  {run_dir / 'report.html'}\n  verify  firm verify {run_dir}", markup=False)
        out.print(f"  replay  firm replay {run_dir}", markup=False)

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _equity(summary: dict[str, Any]) -> str:
    if summary["final_equity"] is None:
        return "never marked"
    return (
        f"{summary['final_equity']:,.2f} USD (realised {summary['realized_pnl']:,.2f}, "
        f"drawdown {summary['max_drawdown']:.1%})"
    )


def _var(amount: float | None) -> str:
    return "not measured" if amount is None else f"{amount:,.0f} USD, one day, Monte Carlo"


def _latency(measured: dict[str, float] | None) -> str:
    if not measured or measured.get("p50") is None:
        return "not measured"
    return f"{measured['p50']:.1f} ms median, {measured['p99']:.1f} ms 99th percentile"


def _line(status: dict[str, Any]) -> str:
    day = datetime.fromtimestamp((status["at"] or 0) / NS, UTC).date()
    return (
        f"{day}  cycle {status['cycles']:,}  equity {_amount(status['equity'])}  "
        f"orders {status['orders_sent']:,}  fills {status['fills']:,}"
    )


def _amount(figure: float | None) -> str:
    return "not yet known" if figure is None else f"{figure:,.0f}"


def _table(status: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2))
    state = f"[red]halted: {status['halted']}[/]" if status.get("halted") else "[green]trading[/]"
    moment = datetime.fromtimestamp((status["at"] or 0) / NS, UTC)
    rows = {
        "state": state,
        "market time": f"{moment:%Y-%m-%d %H:%M} UTC",
        "cycles": f"{status['cycles']:,}",
        "signals": f"{status['signals']:,}",
        "orders sent": f"{status['orders_sent']:,}",
        "fills": f"{status['fills']:,}",
        "equity": f"{_amount(status['equity'])} USD",
        "VaR 99 %": f"{_amount(status['var'])} USD",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
