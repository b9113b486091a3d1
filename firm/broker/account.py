"""The account's figures as the broker counts them: money, margin, what is left above it. Pure."""

from decimal import Decimal, InvalidOperation
from typing import Final

from firm.domain.session import NS_PER_SECOND
from firm.errors import GatewayError
from firm.events import Event
from firm.events.broker import AccountReported

CASH: Final = "TotalCashValue"
TAGS: Final = (CASH, "NetLiquidation", "InitMarginReq", "MaintMarginReq", "ExcessLiquidity")
AT_MOST_EVERY_NS: Final = 60 * NS_PER_SECOND
AT_LEAST_EVERY_NS: Final = 3600 * NS_PER_SECOND


class AccountFigures:
    """Collects the newest value of each tag; says them all together, at most once a minute if nobody asks."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._told: AccountReported | None = None
        self._told_at = 0

    def clear(self) -> None:
        """All values are being asked for again."""
        self._values.clear()

    def hear(self, tag: str, value: str) -> None:
        """Take in one value, in the base currency."""
        if tag in TAGS:
            self._values[tag] = value

    def report(self, account: str) -> AccountReported:
        """The present figures; GatewayError if one of them is missing or no number."""
        try:
            return AccountReported(account, *(Decimal(self._values[tag]) for tag in TAGS))
        except (KeyError, InvalidOperation) as error:
            raise GatewayError(
                f"the figures of account {account} were needed ({', '.join(TAGS)}), found {self._values}. "
                "Check that the account is open at the gateway."
            ) from error

    def told(self, report: AccountReported, at: int) -> AccountReported:
        """The report is said at log time `at` (ns UTC)."""
        self._told, self._told_at = report, at
        return report

    def news(self, at: int) -> list[Event]:
        """The figures, if a report was said and they changed, at most once a minute; else once an hour.

        To be asked while the link stands: the broker tells what changes, so its silence means: as before.
        Without the hourly report a flat account would grow old for ever, and nothing new could be bought.
        """
        if self._told is None or at - self._told_at < AT_MOST_EVERY_NS or len(self._values) < len(TAGS):
            return []
        report = self.report(self._told.account)
        due = report != self._told or at - self._told_at >= AT_LEAST_EVERY_NS
        return [self.told(report, at)] if due else []
