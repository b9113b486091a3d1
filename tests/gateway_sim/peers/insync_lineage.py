"""The conversation in ib_async, or in ib_insync from which it descends.

`python insync_lineage.py MODULE PORT CONTROL` prints one JSON object of what the client understood. It
imports nothing of the firm, so it runs in any environment that has the module.
"""

import importlib
import json
import socket
import sys
from typing import Any

NOTICES = {2104, 2106, 2158, 399, 202}
SAID = {430, 321}  # no fundamentals; no advisor


def control(port: int, **command: Any) -> dict[str, Any]:
    """One command on the gateway's control port."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(json.dumps(command).encode() + b"\n")
        answer: dict[str, Any] = json.loads(line.makefile().readline())
        return answer


class Conversation:
    """What is asked, in order; `facts` is what came back."""

    def __init__(self, module: str, port: int, control_port: int) -> None:
        self.api = importlib.import_module(module)
        self.ib = self.api.IB()
        self.control_port = control_port
        self.facts: dict[str, Any] = {}
        self.errors: list[int] = []
        self.ib.errorEvent += lambda _id, code, *_rest: self.errors.append(code)
        self.ib.connect("127.0.0.1", port, clientId=7, timeout=20)
        self.stock = self.ib.qualifyContracts(self.api.Stock("AAPL", "SMART", "USD"))[0]

    def step(self) -> None:
        control(self.control_port, cmd="step")
        self.ib.sleep(0.1)

    def until(self, met: Any) -> None:
        for _ in range(200):
            if met():
                return
            self.ib.sleep(0.02)
        raise AssertionError(f"nothing came; so far {json.dumps(self.facts)}, errors {self.errors}")

    def run(self) -> dict[str, Any]:
        self.account()
        self.reference()
        self.data()
        self.orders()
        self.special_orders()
        self.books()
        self.rest()
        self.facts["errors"] = sorted(set(self.errors) - NOTICES - SAID)
        self.ib.disconnect()
        return self.facts

    def account(self) -> None:
        ib = self.ib
        self.facts["accounts"] = ib.managedAccounts()
        summary = {f"{v.tag} {v.currency}": v.value for v in ib.accountSummary()}
        tags = ("NetLiquidation USD", "TotalCashValue USD", "CashBalance BASE", "ExchangeRate USD")
        self.facts["summary"] = {tag: summary[tag] for tag in tags}
        values = {f"{v.tag} {v.currency}": v.value for v in ib.accountValues()}
        tags = ("NetLiquidation USD", "FullInitMarginReq USD", "Currency BASE")
        self.facts["account"] = {tag: values[tag] for tag in tags}

    def reference(self) -> None:
        ib, (found,) = self.ib, self.ib.reqContractDetails(self.stock)
        names = ("minTick", "longName", "validExchanges", "timeZoneId", "marketRuleIds", "tradingHours")
        self.facts["details"] = {name: getattr(found, name) for name in names}
        self.facts["contract"] = [found.contract.conId, found.contract.primaryExchange]
        self.facts["rule"] = [[r.lowEdge, r.increment] for r in ib.reqMarketRule(26)]
        chains = ib.reqSecDefOptParams("AAPL", "", "STK", self.stock.conId)
        self.facts["chain"] = sorted([c.exchange, len(c.expirations), len(c.strikes)] for c in chains)
        self.facts["matching"] = [m.contract.symbol for m in ib.reqMatchingSymbols("AAP")]
        self.facts["news"] = [p.code for p in ib.reqNewsProviders()]
        option = self.api.Option("AAPL", min(chains[0].expirations), 0, "C", "SMART")
        self.facts["options"] = len(ib.reqContractDetails(option))

    def data(self) -> None:
        ib, stock = self.ib, self.stock
        ticker = ib.reqMktData(stock, "233")
        book = ib.reqMktDepth(stock, 5)
        live = ib.reqRealTimeBars(stock, 5, "MIDPOINT", useRTH=True)
        every = ib.reqTickByTickData(stock, "BidAsk")
        self.step()
        self.until(lambda: ticker.bid > 0 and book.domBids and book.domAsks and every.tickByTicks)
        self.facts["ticks"] = [ticker.bid, ticker.ask, float(ticker.bidSize), float(ticker.askSize)]
        rows = [("bid", book.domBids[0]), ("ask", book.domAsks[0])]
        self.facts["depth"] = [[side, row.price, float(row.size)] for side, row in rows]
        quote = every.tickByTicks[0]
        self.facts["every tick"] = [quote.bidPrice, quote.askPrice, float(quote.bidSize)]
        self.step()
        self.until(lambda: len(live))
        self.facts["five seconds"] = [live[0].open_, live[0].close, int(live[0].time.timestamp())]
        bars = ib.reqHistoricalData(stock, "", "5 D", "1 day", "MIDPOINT", useRTH=True)
        self.facts["history"] = [[f"{b.date:%Y%m%d}", b.open, b.high, b.low, b.close] for b in bars]
        past = ib.reqHistoricalTicks(stock, "", f"{ib.reqCurrentTime():%Y%m%d-%H:%M:%S}", 5, "BID_ASK", True)
        self.facts["past ticks"] = [[t.priceBid, t.priceAsk] for t in past]
        head = ib.reqHeadTimeStamp(stock, "TRADES", useRTH=True, formatDate=2)
        self.facts["head"] = int(head.timestamp())
        self.facts["time"] = int(ib.reqCurrentTime().timestamp())
        self.price = ticker.bid
        ib.cancelRealTimeBars(live)
        ib.cancelMktDepth(stock)
        ib.cancelTickByTickData(stock, "BidAsk")

    def place(self, order: Any) -> Any:
        return self.ib.placeOrder(self.stock, order)

    def orders(self) -> None:
        ib, api = self.ib, self.api
        low = round(self.price * 0.9, 2)
        trade = self.place(api.LimitOrder("BUY", 10, low, tif="DAY"))
        self.until(lambda: trade.orderStatus.status == "Submitted")
        trade.order.lmtPrice = round(low - 1, 2)
        ib.placeOrder(self.stock, trade.order)
        again = [o for o in ib.reqAllOpenOrders() if o.order.permId == trade.order.permId][-1]
        self.facts["limit"] = [again.orderStatus.status, again.order.lmtPrice, again.order.orderType]
        ib.cancelOrder(trade.order)
        self.until(lambda: trade.orderStatus.status == "Cancelled")
        bought = self.place(api.MarketOrder("BUY", 10, tif="DAY"))
        self.until(lambda: bought.fills and bought.fills[-1].commissionReport.execId)
        fill = bought.fills[0]
        self.facts["market"] = [
            *(bought.orderStatus.status, float(bought.orderStatus.filled), bought.orderStatus.avgFillPrice),
            *(fill.execution.exchange, fill.commissionReport.commission, fill.commissionReport.currency),
        ]
        asked = ib.whatIfOrder(self.stock, api.LimitOrder("BUY", 100, low, tif="DAY"))
        self.facts["what if"] = [float(asked.initMarginChange), asked.commission, asked.commissionCurrency]

    def conditions(self) -> list[Any]:
        api, con_id = self.api, self.stock.conId
        return [
            api.PriceCondition(1, "a", True, 1e6, con_id, "SMART"),
            api.TimeCondition(3, "o", True, "20991231 23:59:59 US/Eastern"),
            api.MarginCondition(4, "a", False, 1),
            api.ExecutionCondition(5, "a", "STK", "SMART", "MSFT"),
            api.VolumeCondition(6, "a", True, 999_999_999, con_id, "SMART"),
            api.PercentChangeCondition(7, "a", True, 900.0, con_id, "SMART"),
        ]

    def special_orders(self) -> None:
        ib, api = self.ib, self.api
        low = round(self.price * 0.9, 2)
        waiting = api.LimitOrder("BUY", 10, low, tif="DAY", conditions=self.conditions())
        kinds = [
            waiting,
            api.Order(action="SELL", totalQuantity=5, orderType="TRAIL", trailingPercent=2.0, tif="GTC"),
            api.Order(
                action="SELL", totalQuantity=5, orderType="STP LMT", auxPrice=low, lmtPrice=low, tif="GTC"
            ),
            api.LimitOrder(
                "BUY",
                10,
                low,
                tif="DAY",
                algoStrategy="Adaptive",
                algoParams=[api.TagValue("adaptivePriority", "Patient")],
            ),
            api.LimitOrder(
                "BUY", 50, low, tif="GTD", goodTillDate="20991231 23:59:59 US/Eastern", displaySize=10
            ),
        ]
        trades = [self.place(order) for order in kinds]
        parent = api.LimitOrder("BUY", 10, low, tif="DAY", orderId=ib.client.getReqId(), transmit=False)
        profit = api.LimitOrder("SELL", 10, round(low * 2, 2), tif="GTC", parentId=parent.orderId)
        trades += [self.place(parent), self.place(profit)]
        self.until(lambda: all(trade.order.permId for trade in trades))
        ids = [trade.order.orderId for trade in trades]
        open_now = {o.order.orderId: o for o in ib.reqAllOpenOrders()}
        mine = [open_now[i] for i in ids]
        self.facts["open"] = [
            [o.order.orderType, o.orderStatus.status, o.order.tif, float(o.order.totalQuantity)] for o in mine
        ]
        self.facts["conditions"] = [
            [c.condType, c.conjunction, *_figures(c)] for c in mine[0].order.conditions
        ]
        self.facts["trail"] = mine[1].order.trailingPercent
        self.facts["stop"] = [mine[2].order.auxPrice, mine[2].order.lmtPrice]
        self.facts["algo"] = [
            mine[3].order.algoStrategy,
            *[[p.tag, p.value] for p in mine[3].order.algoParams],
        ]
        self.facts["display"] = [mine[4].order.displaySize, mine[4].order.goodTillDate]
        self.facts["family"] = mine[6].order.parentId == ids[5]
        ib.reqGlobalCancel()
        self.until(lambda: not ib.openTrades())

    def books(self) -> None:
        ib = self.ib
        executions = ib.reqExecutions()
        self.facts["executions"] = [
            [f.execution.side, float(f.execution.shares), f.execution.price, f.execution.exchange]
            for f in executions
        ]
        self.facts["positions"] = [
            [p.contract.symbol, float(p.position), p.avgCost] for p in ib.reqPositions()
        ]
        (held,) = ib.portfolio()
        self.facts["portfolio"] = [held.contract.symbol, float(held.position), held.marketPrice]
        account = ib.managedAccounts()[0]
        total, single = ib.reqPnL(account), ib.reqPnLSingle(account, "", self.stock.conId)
        self.until(lambda: total.unrealizedPnL == total.unrealizedPnL and single.value == single.value)
        self.facts["profit"] = [round(total.dailyPnL, 4), round(total.unrealizedPnL, 4)]
        self.facts["single profit"] = [float(single.position), round(single.value, 4)]
        completed = ib.reqCompletedOrders(False)
        self.facts["completed"] = sorted(
            [t.order.orderType, t.orderStatus.status, float(t.order.filledQuantity)] for t in completed
        )

    def rest(self) -> None:
        ib, api, stock = self.ib, self.api, self.stock
        self.facts["scan"] = len(ib.reqScannerData(api.ScannerSubscription(instrument="STK")))
        self.facts["fundamentals"] = ib.reqFundamentalData(stock, "ReportSnapshot") or ""
        self.facts["venues"] = [d.exchange for d in ib.reqMktDepthExchanges()]
        self.facts["components"] = [c.exchange for c in ib.reqSmartComponents("9c0001")]
        ib.reqNewsBulletins(True)
        ticker = ib.reqMktData(stock, "292")
        grown = ib.reqHistoricalData(stock, "", "1 D", "1 hour", "MIDPOINT", True, keepUpToDate=True)
        headlines: list[Any] = []
        ib.tickNewsEvent += headlines.append
        updates: list[Any] = []
        grown.updateEvent += lambda bars, _new: updates.append(bars[-1].close)
        control(self.control_port, cmd="bulletin", text="the exchange is late")
        control(self.control_port, cmd="news", symbol="AAPL", headline="up", text="so it goes")
        control(self.control_port, cmd="halt", symbol="AAPL")
        self.until(lambda: headlines and ib.newsBulletins() and ticker.halted == 1)
        control(self.control_port, cmd="halt", symbol="AAPL", on=False)
        self.until(lambda: ticker.halted == 0)
        self.facts["bulletin"] = [b.message for b in ib.newsBulletins()]
        self.facts["headline"] = [[n.providerCode, n.headline] for n in headlines]
        article = ib.reqNewsArticle(headlines[0].providerCode, headlines[0].articleId)
        self.facts["article"] = [article.articleType, article.articleText]
        past = ib.reqHistoricalNews(stock.conId, "SIM", "", "", 10)
        self.facts["past news"] = [n.headline for n in (past if isinstance(past, list) else [past])]
        option = ib.qualifyContracts(api.Option("AAPL", "20230120", 130, "C", "SMART"))[0]
        greeks = ib.reqMktData(option)
        self.until(lambda: greeks.modelGreeks)
        self.facts["greeks"] = [round(greeks.modelGreeks.delta, 6), round(greeks.modelGreeks.optPrice, 6)]
        worth = ib.calculateOptionPrice(option, volatility=0.3, underPrice=131.0)
        self.facts["option price"] = round(worth.optPrice, 6)
        for _ in range(4):  # an update that changes nothing makes no event
            self.step()
        self.until(lambda: updates)
        self.facts["grown"] = updates[-1]


def _figures(condition: Any) -> list[Any]:
    names = ("price", "time", "percent", "symbol", "volume", "changePercent", "isMore", "conId", "exch")
    return [getattr(condition, name) for name in names if hasattr(condition, name)]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(Conversation(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).run()) + "\n")
