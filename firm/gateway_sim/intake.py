"""Which order a placeOrder request means: its contract, venue and parent, or why it means none here. Pure."""

from msgspec.structs import replace

from firm.domain.instrument import Instrument
from firm.exchange import OrderTicket
from firm.gateway_sim.catalogue import NO_DEFINITION, Catalogue
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.expiries import Expiries
from firm.gateway_sim.ledger import Ledger
from firm.gateway_sim.options import Chains
from firm.gateway_sim.orders import PlacedOrder
from firm.gateway_sim.tickets import Refusal, check_change, ticket_of
from firm.gateway_sim.times import local_date


class Intake:
    """Reads requests against what the gateway knows; changes nothing."""

    def __init__(
        self, account: str, catalogue: Catalogue, chains: Chains, expiries: Expiries, ledger: Ledger
    ) -> None:
        self._account, self._catalogue, self._chains = account, catalogue, chains
        self._expiries, self._ledger = expiries, ledger

    def understood(
        self, client_id: int, values: Values, known: PlacedOrder | None, at: int
    ) -> tuple[OrderTicket, Instrument]:
        """The order that is meant and its contract; `known` is the order that has the id already.

        Raises `Refusal`.
        """
        order_id = values["orderId"] or 0
        if order_id < 1 or values["account"] not in {"", self._account}:
            what = f"order id {order_id}, account code {values['account']!r}"
            text = f"{what}; ids are 1 or more, the account is {self._account}"
            raise Refusal(321, f"Error validating request: {text}")
        instrument = self._contract(values, at)
        venue = self._catalogue.route(instrument, values["exchange"])
        if venue is None:
            raise Refusal(200, f"{NO_DEFINITION}: {values['exchange']}")
        ticket = ticket_of(values, instrument, self._parent(client_id, values), self._catalogue.find, at)
        ticket = replace(ticket, venue=venue)
        if known is not None and not values["whatIf"]:
            check_change(ticket, values, known)
        return ticket, instrument

    def _contract(self, values: Values, at: int) -> Instrument:
        """The contract, which must trade here and still live."""
        instrument = self._catalogue.find(values)
        if instrument is None and self._chains.find(values, local_date(at)):
            raise Refusal(201, "Order rejected - reason: not simulated here: the tape has no option quotes")
        if instrument is None:
            raise Refusal(200, NO_DEFINITION)
        if self._expiries.over(instrument, at):
            raise Refusal(201, f"Order rejected - reason: the contract expired on {instrument.expiry}")
        return instrument

    def _parent(self, client_id: int, values: Values) -> int:
        """The permanent id of the parent order; 0 without one."""
        if not values["parentId"]:
            return 0
        parent = self._ledger.named(client_id, values["parentId"])
        if parent is None or (not parent.live and parent.status != "Filled"):
            raise Refusal(10006, f"Missing parent order: {values['parentId']}")
        return parent.perm_id
