"""The conversation in Interactive Brokers' own client, old or new.

`python official_lineage.py ibapi PORT CONTROL` prints one JSON object of what the client understood. It
imports nothing of the firm, so it runs in any environment that has `ibapi` (9.81 from PyPI, or 10.46 as
nautilus-ibapi).
"""

import inspect
import json
import os
import socket
import sys
import threading
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

from ibapi import order_condition
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.scanner import ScannerSubscription
from ibapi.tag_value import TagValue
from ibapi.wrapper import EWrapper

NOTICES = {2104, 2106, 2158, 399, 202}
SAID = {430}  # no fundamentals
DEADLINE = 10.0


def anything(_values: tuple[Any, ...]) -> bool:
    """Whatever came."""
    return True


def control(port: int, **command: Any) -> dict[str, Any]:
    """One command on the gateway's control port."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(line.makefile().readline())
        return answer


class Client(EWrapper, EClient):
    """Keeps every callback with its arguments, by name, in the order they came."""

    def __init__(self) -> None:
        EClient.__init__(self, wrapper=self)
        self.calls: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self.codes: set[int] = set()

    def error(self, _request: int, *values: Any) -> None:
        """The old client has code and text here, the new one the time before them and a JSON after."""
        self.codes.add(values[0] if isinstance(values[1], str) else values[1])

    def __getattribute__(self, name: str) -> Any:
        if name in CALLBACKS:
            return lambda *values: self.calls[name].append(values)
        return super().__getattribute__(name)


OWN = {"logAnswer", "winError", "__init__", "error"}
CALLBACKS = {name for name, _ in inspect.getmembers(EWrapper, inspect.isfunction)} - OWN
CALLBACKS = {name for name in CALLBACKS if not name.endswith("ProtoBuf")}


class Conversation:
    """What is asked, in order; `facts` is what came back."""

    def __init__(self, _module: str, port: int, control_port: int) -> None:
        self.client, self.control_port = Client(), control_port
        self.facts: dict[str, Any] = {}
        self.request = 100
        self.client.connect("127.0.0.1", port, 7)
        threading.Thread(target=self.client.run, daemon=True).start()
        self.next_id = self.first("nextValidId")[0]
        self.stock = self.contract(symbol="AAPL", secType="STK", exchange="SMART", currency="USD")
        self.stock = self.ask("reqContractDetails", self.stock, end="contractDetailsEnd")["contractDetails"][
            0
        ][1].contract

    @staticmethod
    def contract(**values: Any) -> Any:
        contract = Contract()
        vars(contract).update(values)
        return contract

    def until(self, met: Any) -> Any:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if found := met():
                return found
            time.sleep(0.01)
        raise AssertionError(f"nothing came; so far {json.dumps(self.facts)}, {dict(self.client.calls)}")

    def first(self, name: str, fits: Any = anything) -> tuple[Any, ...]:
        found: list[tuple[Any, ...]] = self.until(
            lambda: [v for v in list(self.client.calls[name]) if fits(v)]
        )
        return found[0]

    def ask(
        self, name: str, *values: Any, end: str, numbered: bool = True
    ) -> dict[str, list[tuple[Any, ...]]]:
        """Ask, wait for the `end` callback, and hand out what came with it."""
        self.client.calls.clear()
        self.request += 1
        getattr(self.client, name)(*((self.request, *values) if numbered else values))
        self.first(end)
        return {key: list(found) for key, found in self.client.calls.items()}

    def step(self) -> None:
        control(self.control_port, cmd="step")

    def run(self) -> dict[str, Any]:
        parts = (self.account, self.reference, self.data, self.orders, self.special_orders, self.books)
        for part in (*parts, self.rest):
            part()
        self.facts["errors"] = sorted(self.client.codes - NOTICES - SAID)
        self.client.disconnect()
        return self.facts

    def account(self) -> None:
        came = self.ask("reqManagedAccts", end="managedAccounts", numbered=False)
        self.facts["accounts"] = came["managedAccounts"][0][0].split(",")
        came = self.ask(
            "reqAccountSummary", "All", "NetLiquidation,TotalCashValue,$LEDGER:ALL", end="accountSummaryEnd"
        )
        summary = {f"{tag} {currency}": value for _, _, tag, value, currency in came["accountSummary"]}
        tags = ("NetLiquidation USD", "TotalCashValue USD", "CashBalance BASE", "ExchangeRate USD")
        self.facts["summary"] = {tag: summary[tag] for tag in tags}
        self.client.cancelAccountSummary(self.request)
        came = self.ask("reqAccountUpdates", True, "", end="accountDownloadEnd", numbered=False)
        values = {f"{key} {currency}": value for key, value, currency, _ in came["updateAccountValue"]}
        tags = ("NetLiquidation USD", "FullInitMarginReq USD", "Currency BASE")
        self.facts["account"] = {tag: values[tag] for tag in tags}

    def reference(self) -> None:
        came = self.ask("reqContractDetails", self.stock, end="contractDetailsEnd")
        ((_, found),) = came["contractDetails"]
        names = ("minTick", "longName", "validExchanges", "timeZoneId", "marketRuleIds", "tradingHours")
        self.facts["details"] = {name: getattr(found, name) for name in names}
        self.facts["contract"] = [found.contract.conId, found.contract.primaryExchange]
        came = self.ask("reqMarketRule", 26, end="marketRule", numbered=False)
        self.facts["rule"] = [[r.lowEdge, r.increment] for r in came["marketRule"][0][1]]
        end = "securityDefinitionOptionParameterEnd"
        came = self.ask("reqSecDefOptParams", "AAPL", "", "STK", self.stock.conId, end=end)
        chains = came["securityDefinitionOptionParameter"]
        self.facts["chain"] = sorted([c[1], len(c[5]), len(c[6])] for c in chains)
        came = self.ask("reqMatchingSymbols", "AAP", end="symbolSamples")
        self.facts["matching"] = [d.contract.symbol for d in came["symbolSamples"][0][1]]
        came = self.ask("reqNewsProviders", end="newsProviders", numbered=False)
        self.facts["news"] = [p.code for p in came["newsProviders"][0][0]]
        option = self.contract(symbol="AAPL", secType="OPT", exchange="SMART", right="C", currency="USD")
        option.lastTradeDateOrContractMonth = min(chains[0][5])
        came = self.ask("reqContractDetails", option, end="contractDetailsEnd")
        self.facts["options"] = len(came["contractDetails"])

    def data(self) -> None:
        client, stock = self.client, self.stock
        client.calls.clear()
        client.reqMktData(1, stock, "233", False, False, [])
        client.reqMktDepth(2, stock, 5, False, [])
        client.reqRealTimeBars(3, stock, 5, "MIDPOINT", True, [])
        client.reqTickByTickData(4, stock, "BidAsk", 0, False)
        client.reqCurrentTime()
        self.first("currentTime")
        self.step()
        prices = {kind: self.first("tickPrice", lambda v, kind=kind: v[1] == kind) for kind in (1, 2)}
        sizes = {kind: self.first("tickSize", lambda v, kind=kind: v[1] == kind) for kind in (0, 3)}
        self.facts["ticks"] = [prices[1][2], prices[2][2], float(sizes[0][2]), float(sizes[3][2])]
        rows = {side: self.first("updateMktDepth", lambda v, side=side: v[3] == side) for side in (0, 1)}
        self.facts["depth"] = [[side, rows[n][4], float(rows[n][5])] for n, side in ((1, "bid"), (0, "ask"))]
        quote = self.first("tickByTickBidAsk")
        self.facts["every tick"] = [quote[2], quote[3], float(quote[4])]
        self.step()
        bar = self.first("realtimeBar")
        self.facts["five seconds"] = [bar[2], bar[5], bar[1]]
        asked = ("", "5 D", "1 day", "MIDPOINT", 1, 1, False, [])
        came = self.ask("reqHistoricalData", stock, *asked, end="historicalDataEnd")
        self.facts["history"] = [[b.date, b.open, b.high, b.low, b.close] for _, b in came["historicalData"]]
        came = self.ask("reqCurrentTime", end="currentTime", numbered=False)
        now = came["currentTime"][0][0]
        until = datetime.fromtimestamp(now, tz=UTC)
        asked = ("", f"{until:%Y%m%d-%H:%M:%S}", 5, "BID_ASK", 1, False, [])
        came = self.ask("reqHistoricalTicks", stock, *asked, end="historicalTicksBidAsk")
        ticks = came["historicalTicksBidAsk"][0][1]
        self.facts["past ticks"] = [[t.priceBid, t.priceAsk] for t in ticks]
        came = self.ask("reqHeadTimeStamp", stock, "TRADES", 1, 2, end="headTimestamp")
        self.facts["head"] = int(came["headTimestamp"][0][1])
        self.facts["time"] = now
        self.price = prices[1][2]
        client.cancelRealTimeBars(3)
        client.cancelMktDepth(2, False)
        client.cancelTickByTickData(4)

    def order(self, **values: Any) -> Any:
        order = Order()
        vars(order).update({"eTradeOnly": False, "firmQuoteOnly": False, **values})
        if "eTradeOnly" not in vars(Order()):
            vars(order).pop("eTradeOnly"), vars(order).pop("firmQuoteOnly")
        return order

    def limit(self, action: str, quantity: int, price: float, **values: Any) -> Any:
        return self.order(
            **{
                "action": action,
                "totalQuantity": quantity,
                "orderType": "LMT",
                "lmtPrice": price,
                "tif": "DAY",
                **values,
            }
        )

    def place(self, order: Any, order_id: int | None = None) -> int:
        if order_id is None:
            order_id = self.next_id
            self.next_id += 1
        self.client.placeOrder(order_id, self.stock, order)
        return order_id

    def status(self, order_id: int, wanted: str) -> tuple[Any, ...]:
        return self.first("orderStatus", lambda v: v[0] == order_id and v[1] == wanted)

    def cancel(self, order_id: int) -> None:
        if len(inspect.signature(EClient.cancelOrder).parameters) == 2:
            self.client.cancelOrder(order_id)
        else:
            from ibapi.order_cancel import OrderCancel

            self.client.cancelOrder(order_id, OrderCancel())

    def orders(self) -> None:
        client = self.client
        client.calls.clear()
        low = round(self.price * 0.9, 2)
        order = self.limit("BUY", 10, low)
        first = self.place(order)
        self.status(first, "Submitted")
        order.lmtPrice = round(low - 1, 2)
        self.place(order, first)
        self.first("openOrder", lambda v: v[0] == first and v[2].lmtPrice == round(low - 1, 2))
        came = self.ask("reqAllOpenOrders", end="openOrderEnd", numbered=False)
        (again,) = [v for v in came["openOrder"] if v[0] == first]
        self.facts["limit"] = [again[3].status, again[2].lmtPrice, again[2].orderType]
        self.cancel(first)
        self.status(first, "Cancelled")
        bought = self.place(self.order(action="BUY", totalQuantity=10, orderType="MKT", tif="DAY"))
        status = self.status(bought, "Filled")
        told = "commissionReport" if "commissionReport" in CALLBACKS else "commissionAndFeesReport"
        ((cost,),) = [self.first(told)]
        ((_, _, execution),) = [self.first("execDetails")]
        fee = cost.commission if hasattr(cost, "commission") else cost.commissionAndFees
        self.facts["market"] = [
            *(status[1], float(status[2]), status[4]),
            *(execution.exchange, fee, cost.currency),
        ]
        asked = self.place(self.limit("BUY", 100, low, whatIf=True))
        state = self.first("openOrder", lambda v: v[0] == asked)[3]
        fee = state.commission if hasattr(state, "commission") else state.commissionAndFees
        currency = getattr(state, "commissionCurrency", None) or state.commissionAndFeesCurrency
        self.facts["what if"] = [float(state.initMarginChange), fee, currency]

    def conditions(self) -> list[Any]:
        con_id = self.stock.conId
        price = order_condition.PriceCondition(1, con_id, "SMART", True, 1e6)
        at = order_condition.TimeCondition(True, "20991231 23:59:59 US/Eastern")
        margin = order_condition.MarginCondition(False, 1)
        traded = order_condition.ExecutionCondition("STK", "SMART", "MSFT")
        volume = order_condition.VolumeCondition(con_id, "SMART", True, 999_999_999)
        change = order_condition.PercentChangeCondition(con_id, "SMART", True, 900.0)
        found = [price, at, margin, traded, volume, change]
        for condition in found:
            condition.isConjunctionConnection = condition is not at
        return found

    def special_orders(self) -> None:
        low = round(self.price * 0.9, 2)
        forever = "20991231 23:59:59 US/Eastern"
        sell = {"action": "SELL", "totalQuantity": 5, "tif": "GTC"}
        patient = [TagValue("adaptivePriority", "Patient")]
        self.client.calls.clear()
        ids = [
            self.place(self.limit("BUY", 10, low, conditions=self.conditions())),
            self.place(self.order(**sell, orderType="TRAIL", trailingPercent=2.0)),
            self.place(self.order(**sell, orderType="STP LMT", auxPrice=low, lmtPrice=low)),
            self.place(self.limit("BUY", 10, low, algoStrategy="Adaptive", algoParams=patient)),
            self.place(self.limit("BUY", 50, low, tif="GTD", goodTillDate=forever, displaySize=10)),
            self.place(self.limit("BUY", 10, low, transmit=False)),
        ]
        child = self.limit("SELL", 10, round(low * 2, 2), tif="GTC", parentId=ids[5])
        ids.append(self.place(child))
        self.first("openOrder", lambda v: v[0] == ids[6])
        came = self.ask("reqAllOpenOrders", end="openOrderEnd", numbered=False)
        found = {v[0]: v for v in came["openOrder"]}
        orders = [found[i][2] for i in ids]
        self.facts["open"] = [
            [o.orderType, found[i][3].status, o.tif, float(o.totalQuantity)]
            for i, o in zip(ids, orders, strict=True)
        ]
        self.facts["conditions"] = [
            [c.type(), "a" if c.isConjunctionConnection else "o", *_figures(c)] for c in orders[0].conditions
        ]
        self.facts["trail"] = orders[1].trailingPercent
        self.facts["stop"] = [orders[2].auxPrice, orders[2].lmtPrice]
        self.facts["algo"] = [orders[3].algoStrategy, *[[p.tag, p.value] for p in orders[3].algoParams]]
        self.facts["display"] = [orders[4].displaySize, orders[4].goodTillDate]
        self.facts["family"] = orders[6].parentId == ids[5]
        if len(inspect.signature(EClient.reqGlobalCancel).parameters) == 1:
            self.client.reqGlobalCancel()
        else:
            from ibapi.order_cancel import OrderCancel

            self.client.reqGlobalCancel(OrderCancel())
        for order_id in ids:
            self.status(order_id, "Cancelled")

    def books(self) -> None:
        came = self.ask("reqExecutions", ExecutionFilter(), end="execDetailsEnd")
        self.facts["executions"] = [
            [e.side, float(e.shares), e.price, e.exchange] for _, _, e in came["execDetails"]
        ]
        came = self.ask("reqPositions", end="positionEnd", numbered=False)
        self.facts["positions"] = [
            [c.symbol, float(quantity), cost] for _, c, quantity, cost in came["position"]
        ]
        came = self.ask("reqAccountUpdates", True, "", end="accountDownloadEnd", numbered=False)
        ((contract, quantity, price, *_),) = came["updatePortfolio"]
        self.facts["portfolio"] = [contract.symbol, float(quantity), price]
        account = self.facts["accounts"][0]
        came = self.ask("reqPnL", account, "", end="pnl")
        self.facts["profit"] = [round(figure, 4) for figure in came["pnl"][0][1:3]]
        came = self.ask("reqPnLSingle", account, "", self.stock.conId, end="pnlSingle")
        _, position, _, _, _, worth = came["pnlSingle"][0]
        self.facts["single profit"] = [float(position), round(worth, 4)]
        came = self.ask("reqCompletedOrders", False, end="completedOrdersEnd", numbered=False)
        self.facts["completed"] = sorted(
            [o.orderType, state.status, float(o.filledQuantity)] for _, o, state in came["completedOrder"]
        )

    def rest(self) -> None:
        client, stock = self.client, self.stock
        scan = ScannerSubscription()
        scan.instrument = "STK"
        came = self.ask("reqScannerSubscription", scan, [], [], end="scannerDataEnd")
        self.facts["scan"] = len(came.get("scannerData", []))
        client.reqFundamentalData(998, stock, "ReportSnapshot", [])
        self.until(lambda: 430 in client.codes)
        self.facts["fundamentals"] = ""
        came = self.ask("reqMktDepthExchanges", end="mktDepthExchanges", numbered=False)
        self.facts["venues"] = [d.exchange for d in came["mktDepthExchanges"][0][0]]
        came = self.ask("reqSmartComponents", "9c0001", end="smartComponents")
        self.facts["components"] = [c.exchange for c in came["smartComponents"][0][1]]
        client.reqNewsBulletins(True)
        client.reqMktData(11, stock, "292", False, False, [])
        client.reqHistoricalData(12, stock, "", "1 D", "1 hour", "MIDPOINT", 1, 1, True, [])
        self.first("historicalDataEnd")
        control(self.control_port, cmd="bulletin", text="the exchange is late")
        control(self.control_port, cmd="news", symbol="AAPL", headline="up", text="so it goes")
        control(self.control_port, cmd="halt", symbol="AAPL")
        self.first("tickGeneric", lambda v: v[1:] == (49, 1.0))
        control(self.control_port, cmd="halt", symbol="AAPL", on=False)
        self.first("tickGeneric", lambda v: v[1:] == (49, 0.0))
        self.facts["bulletin"] = [self.first("updateNewsBulletin")[2]]
        _, _, provider, article_id, headline, _ = self.first("tickNews")
        self.facts["headline"] = [[provider, headline]]
        came = self.ask("reqNewsArticle", provider, article_id, [], end="newsArticle")
        self.facts["article"] = list(came["newsArticle"][0][1:])
        came = self.ask("reqHistoricalNews", stock.conId, "SIM", "", "", 10, [], end="historicalNewsEnd")
        self.facts["past news"] = [v[4] for v in came["historicalNews"]]
        option = self.contract(symbol="AAPL", secType="OPT", exchange="SMART", right="C", currency="USD")
        vars(option).update(lastTradeDateOrContractMonth="20230120", strike=130.0)
        client.reqMktData(13, option, "", False, False, [])
        model = self.first("tickOptionComputation", lambda v: v[1] == 13)[-8:]
        self.facts["greeks"] = [round(model[1], 6), round(model[2], 6)]
        client.calls.clear()
        client.calculateOptionPrice(14, option, 0.3, 131.0, [])
        worth = self.first("tickOptionComputation", lambda v: v[0] == 14)[-8:]
        self.facts["option price"] = round(worth[2], 6)
        self.step()
        self.facts["grown"] = self.first("historicalDataUpdate")[1].close


def _figures(condition: Any) -> list[Any]:
    names = ("price", "time", "percent", "symbol", "volume", "changePercent", "isMore", "conId", "exchange")
    return [getattr(condition, name) for name in names if hasattr(condition, name)]


if __name__ == "__main__":
    try:
        sys.stdout.write(
            json.dumps(Conversation(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()) + "\n"
        )
    except AssertionError as reason:
        sys.stderr.write(f"{reason}\n")
        os._exit(1)
