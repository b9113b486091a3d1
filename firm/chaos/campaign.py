"""Carries a plan out, day by day: strike, see it noticed, see the firm recover, check; resumable."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from firm.chaos.day import Day
from firm.chaos.faults import FAULTS, Fault, Struck
from firm.chaos.plan import DayPlan, Injection, plan
from firm.chaos.pressure import set_up
from firm.chaos.results import Results, TableRow
from firm.chaos.running import POLL_S
from firm.errors import ConfigError, FirmError
from firm.standby.commands import Told

RECOVER_WITHIN_S: Final = 600.0
NOTICED_WITHIN_S: Final = 20.0
"""A firm that has decided again is watched so long for a sign that it knows what happened."""
NOTED: Final = ("lost", "started")

Lived: TypeAlias = tuple[list[dict[str, Any]], dict[str, Any]]


def chaos(
    seed: int, faults: Sequence[str], repeats: int, folder: Path, results: Path, told: Told
) -> list[TableRow]:
    """Do `faults` (none: every one) to a trading firm, each `repeats` times; the table.

    Finished days are in `results`, and not lived again. ConfigError for a fault that does not exist;
    FirmError where the firm did not recover or this machine cannot have a fault.
    """
    if unknown := sorted(set(faults) - FAULTS.keys()):
        raise ConfigError(f"--faults needs some of {', '.join(FAULTS)}, found {', '.join(unknown)}")
    if repeats < 1:
        raise ConfigError(f"--repeats needs a whole number of at least 1, found {repeats}")
    chosen = sorted(set(faults) or FAULTS)
    planned = plan(seed, {name: FAULTS[name].needs for name in chosen}, repeats)
    kept = Results(results, {"seed": seed, "faults": chosen, "repeats": repeats})
    carry_out(planned, folder, kept, told)
    return kept.table()


def carry_out(days: tuple[DayPlan, ...], folder: Path, results: Results, told: Told) -> None:
    """Live every day of the plan that the results do not have yet."""
    for planned in days:
        if results.has_day(planned.number):
            told(f"day {planned.number}: done before")
            continue
        place = folder / f"day-{planned.number}"
        shutil.rmtree(place, ignore_errors=True)  # an unfinished day is begun again
        results.add_day(planned.number, *_live(planned, place, told))


def _live(planned: DayPlan, folder: Path, told: Told) -> Lived:
    """One day on this machine; its run directory is new."""
    with set_up(planned.needs, folder) as environ:
        day = Day(folder.resolve(), environ=environ)
        try:
            return live(day, planned, FAULTS, told)
        finally:
            day.end()


def live(day: Day, planned: DayPlan, faults: Mapping[str, Fault], told: Told) -> Lived:
    """Start the firm, let everything happen, end it: a row for each fault, and what was found at the end."""
    day.start()
    day.await_trading()
    rows: list[dict[str, Any]] = []
    for injection in planned.injections:
        rows.append(_meet(day, injection, faults[injection.fault]))
        told(_line(rows[-1]))
    day.stop()
    found, replay = day.audit(), day.replayed()
    ending = {
        "lost": list(found.lost),
        "doubled": list(found.doubled),
        "positions": list(found.positions),
        "after_halt": list(found.after_halt),
        "not_accepted": found.not_accepted,
        "replay": replay,
        "starts": day.starts,
    }
    told(f"day {planned.number} is over: {ending}")
    return rows, ending


def _meet(day: Day, injection: Injection, fault: Fault) -> dict[str, Any]:
    """Wait for the moment, strike, measure, and check the log."""
    wanted = day.newest()[0] + injection.entries
    day.firm.while_alive(
        lambda: day.newest()[0] >= wanted, f"{injection.entries} more entries", RECOVER_WITHIN_S
    )
    time.sleep(injection.delay_s)
    seq, head = day.newest()
    starts = day.starts
    watch = Watch(day, seq)
    struck = fault.strike(day, injection.pick)
    watch.follow(struck)
    struck.afterwards()
    return {
        "number": injection.number,
        "fault": injection.fault,
        "repeat": injection.repeat,
        "at_entry": seq,
        "detected_s": watch.detected_s,
        "recovered_s": watch.recovered_s,
        "entries_lost": day.lost_entries(seq, head),
        "starts": day.starts - starts,
        "complaints": list(struck.complaints()),
        "said": watch.said,
    }


class Watch:
    """Follows a firm from a fault to its recovery.

    `detected_s`: until there was a sign that the firm, or Ray for it, knows; None if there was none.
    `recovered_s`: from the fault, or where it had to be mended from then, until a decision that began later
    was over.
    """

    def __init__(self, day: Day, seq: int) -> None:
        """`seq`: the newest entry at the moment of the fault, which is now."""
        self._day, self._since = day, seq
        self._at_wall, self._at = time.time_ns(), time.monotonic()
        self._mended_at: float | None = None
        self.detected_s: float | None = None
        self.recovered_s: float | None = None
        self.said = ""

    def follow(self, struck: Struck) -> None:
        """Watch to the end; a firm that has ended is started again, as its service manager would.

        FirmError if it does not recover.
        """
        while self.recovered_s is None or (self.detected_s is None and self._lasted < NOTICED_WITHIN_S):
            if self.detected_s is None and self._sign(struck):
                self.detected_s = round(self._lasted, 3)
            waited = self.detected_s is not None or self._lasted > struck.holds_s
            if struck.mend is not None and self._mended_at is None and waited:
                struck.mend()
                self._mended_at = time.monotonic()
                self._since = max(self._since, self._day.firm.last_seq())
            if self.recovered_s is None and (struck.mend is None or self._mended_at is not None):
                self._try_to_go_on()
            if self._lasted > RECOVER_WITHIN_S:
                raise FirmError(f"a decision within {RECOVER_WITHIN_S:.0f} s was needed, found none")
            time.sleep(POLL_S)

    @property
    def _lasted(self) -> float:
        return time.monotonic() - self._at

    def _sign(self, struck: Struck) -> bool:
        noted = any(name in NOTED for name, _ in self._day.operations(self._at_wall))
        return noted or not self._day.firm.alive or struck.noticed()

    def _try_to_go_on(self) -> None:
        if self._day.decided(self._since):
            self.recovered_s = round(time.monotonic() - (self._mended_at or self._at), 3)
        elif not self._day.firm.alive:
            self.said = self._day.firm.said()
            self._day.start()


def _line(row: dict[str, Any]) -> str:
    detected = "not seen" if row["detected_s"] is None else f"{row['detected_s']:.2f} s"
    return (
        f"{row['number']:4} {row['fault']:16} detected {detected}, recovered {row['recovered_s']:.2f} s, "
        f"{row['entries_lost']} entries lost{', started again' if row['starts'] else ''}"
    )
