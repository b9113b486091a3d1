"""Everything an exchange must not forget, taken out of its parts and put back. See `orders.ExchangeState`."""

from msgspec.structs import replace

from firm.exchange.account import Account
from firm.exchange.book import DisplayedBook
from firm.exchange.orders import ExchangeState
from firm.exchange.trading import Trading


def taken(book: DisplayedBook, account: Account, trading: Trading) -> ExchangeState:
    """A copy that later changes do not reach."""
    marks, quotes, consumed = book.state()
    table = trading.table
    return ExchangeState(
        at=trading.at,
        purses={currency: replace(purse) for currency, purse in account.purses.items()},
        positions=list(account.positions),
        settled=dict(account.settled),
        marks=marks,
        quotes=quotes,
        consumed=consumed,
        orders=[replace(order) for order in table.orders.values()],
        next_perm=table.next_perm,
        next_exec=trading.next_exec,
        next_priority=table.next_priority,
        closes=list(book.closes),
        volumes=list(book.volumes),
        borrowable=dict(trading.borrowable),
        executed=frozenset(trading.executed),
        traded=frozenset(table.traded),
        halted=frozenset(book.halted),
    )


def put_back(state: ExchangeState, book: DisplayedBook, account: Account, trading: Trading) -> None:
    """Forget everything and continue from `state`."""
    assert len(state.positions) == len(account.positions), "state of other instruments"
    table = trading.table
    trading.at = state.at
    account.purses = {currency: replace(purse) for currency, purse in state.purses.items()}
    account.positions[:] = state.positions
    account.settled = dict(state.settled)
    book.restore(state.marks, state.quotes, state.consumed)
    book.closes, book.volumes = list(state.closes), list(state.volumes)
    book.halted = set(state.halted)
    table.orders = {order.perm_id: replace(order) for order in state.orders}
    table.next_perm, trading.next_exec = state.next_perm, state.next_exec
    table.next_priority = state.next_priority
    trading.borrowable = dict(state.borrowable)
    trading.executed = set(state.executed)
    table.traded = set(state.traded)
