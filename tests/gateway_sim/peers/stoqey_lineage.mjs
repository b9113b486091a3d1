// The conversation in @stoqey/ib, an independent port: `node stoqey_lineage.mjs PACKAGE_DIRECTORY PORT CONTROL`.
// Prints one JSON object of what the client understood.

import { createRequire } from "node:module";
import net from "node:net";

const [packages, port, controlPort] = process.argv.slice(2);
const api = createRequire(`${packages}/`)("@stoqey/ib");
const NOTICES = new Set([2104, 2106, 2158, 399, 202]);
const DEADLINE = 10_000;

function control(command) {
  return new Promise((resolve, reject) => {
    const line = net.connect(Number(controlPort), "127.0.0.1", () => line.write(JSON.stringify(command) + "\n"));
    let said = "";
    line.on("data", (data) => {
      said += data;
      if (said.includes("\n")) {
        line.end();
        resolve(JSON.parse(said));
      }
    });
    line.on("error", reject);
  });
}

const ib = new api.IBApi({ host: "127.0.0.1", port: Number(port), clientId: 7, maxReqPerSec: 1000 });
let calls = {};
const codes = new Set();
const facts = {};
let request = 100;

ib.on("result", (event, values) => (calls[event] ??= []).push(values));
ib.on("error", (reason, code) => codes.add(code ?? String(reason)));

async function until(met, what) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = met();
    if (found) return found;
    if (Date.now() > end) throw new Error(`no ${what}; so far ${JSON.stringify(facts)}, ${JSON.stringify(calls)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
const first = (name, fits = () => true) => until(() => (calls[name] ?? []).find(fits), name);

async function ask(end, name, ...values) {
  calls = {};
  ib[name](...values);
  await first(end);
  return calls;
}
const asked = (end, name, ...values) => ask(end, name, ++request, ...values);
const step = () => control({ cmd: "step" });
const pick = (object, names) => Object.fromEntries(names.map((name) => [name, object[name]]));
const float = (text) => Number(text);
const cents = (price) => Math.round(price * 100) / 100;
const figure = (number) => Math.round(number * 1e4) / 1e4;
const micros = (number) => Math.round(number * 1e6) / 1e6;
const sorted = (rows) => rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

ib.connect(7);
let nextId = (await first("nextValidId"))[0];
let stock = { symbol: "AAPL", secType: "STK", exchange: "SMART", currency: "USD" };
stock = (await asked("contractDetailsEnd", "reqContractDetails", stock)).contractDetails[0][1].contract;

async function account() {
  let came = await ask("managedAccounts", "reqManagedAccts");
  facts.accounts = came.managedAccounts[0][0].split(",");
  came = await asked("accountSummaryEnd", "reqAccountSummary", "All", "NetLiquidation,TotalCashValue,$LEDGER:ALL");
  const summary = Object.fromEntries(came.accountSummary.map(([, , tag, value, money]) => [`${tag} ${money}`, value]));
  facts.summary = pick(summary, ["NetLiquidation USD", "TotalCashValue USD", "CashBalance BASE", "ExchangeRate USD"]);
  came = await ask("accountDownloadEnd", "reqAccountUpdates", true, "");
  const values = Object.fromEntries(came.updateAccountValue.map(([key, value, money]) => [`${key} ${money}`, value]));
  facts.account = pick(values, ["NetLiquidation USD", "FullInitMarginReq USD", "Currency BASE"]);
}

async function reference() {
  let came = await asked("contractDetailsEnd", "reqContractDetails", stock);
  const found = came.contractDetails[0][1];
  const names = ["minTick", "longName", "validExchanges", "timeZoneId", "marketRuleIds", "tradingHours"];
  facts.details = pick(found, names);
  facts.contract = [found.contract.conId, found.contract.primaryExch];
  came = await ask("marketRule", "reqMarketRule", 26);
  facts.rule = came.marketRule[0][1].map((band) => [band.lowEdge, band.increment]);
  const end = "securityDefinitionOptionParameterEnd";
  came = await asked(end, "reqSecDefOptParams", "AAPL", "", "STK", stock.conId);
  const chains = came.securityDefinitionOptionParameter;
  facts.chain = sorted(chains.map((chain) => [chain[1], chain[5].length, chain[6].length]));
  came = await asked("symbolSamples", "reqMatchingSymbols", "AAP");
  facts.matching = came.symbolSamples[0][1].map((sample) => sample.contract.symbol);
  came = await ask("newsProviders", "reqNewsProviders");
  facts.news = came.newsProviders[0][0].map((provider) => provider.providerCode);
  const day = [...chains[0][5]].sort()[0];
  const option = { symbol: "AAPL", secType: "OPT", exchange: "SMART", right: "C", currency: "USD" };
  option.lastTradeDateOrContractMonth = day;
  came = await asked("contractDetailsEnd", "reqContractDetails", option);
  facts.options = came.contractDetails.length;
}

let price = 0;
async function data() {
  calls = {};
  ib.reqMktData(1, stock, "233", false, false);
  ib.reqMktDepth(2, stock, 5, false);
  ib.reqRealTimeBars(3, stock, 5, "MIDPOINT", true);
  ib.reqTickByTickData(4, stock, "BidAsk", 0, false);
  ib.reqCurrentTime();
  await first("currentTime");
  await step();
  const prices = [await first("tickPrice", (v) => v[1] === 1), await first("tickPrice", (v) => v[1] === 2)];
  const size = await first("tickSize", (v) => v[1] === 3); // 1.6.10 drops bid sizes: their tick type is 0
  facts.ticks = [prices[0][2], prices[1][2], null, float(size[2])];
  const rows = [await first("updateMktDepth", (v) => v[3] === 1), await first("updateMktDepth", (v) => v[3] === 0)];
  facts.depth = rows.map((row) => [row[3] ? "bid" : "ask", row[4], float(row[5])]);
  const quote = await first("tickByTickBidAsk");
  facts["every tick"] = [quote[2], quote[3], float(quote[4])];
  await step();
  const bar = await first("realtimeBar");
  facts["five seconds"] = [bar[2], bar[5], bar[1]];
  const terms = ["", "5 D", "1 day", "MIDPOINT", 1, 1, false];
  calls = {};
  ib.reqHistoricalData(++request, stock, ...terms);
  await first("historicalData", (v) => String(v[1]).startsWith("finished"));
  const bars = calls.historicalData.filter((v) => !String(v[1]).startsWith("finished"));
  facts.history = bars.map((v) => [v[1], v[2], v[3], v[4], v[5]]);
  const now = (await ask("currentTime", "reqCurrentTime")).currentTime[0][0];
  const stamp = new Date(now * 1000).toISOString();
  const until_ = `${stamp.slice(0, 10).replaceAll("-", "")}-${stamp.slice(11, 19)}`;
  let came = await asked("historicalTicksBidAsk", "reqHistoricalTicks", stock, "", until_, 5, "BID_ASK", 1, false);
  facts["past ticks"] = came.historicalTicksBidAsk[0][1].map((tick) => [tick.priceBid, tick.priceAsk]);
  came = await asked("headTimestamp", "reqHeadTimestamp", stock, "TRADES", true, 2);
  facts.head = float(came.headTimestamp[0][1]);
  facts.time = now;
  price = prices[0][2];
  ib.cancelRealTimeBars(3);
  ib.cancelMktDepth(2, false);
  ib.cancelTickByTickData(4);
}

const limit = (action, quantity, at, more = {}) => ({
  ...{ action, totalQuantity: quantity, orderType: "LMT", lmtPrice: at, tif: "DAY", transmit: true },
  ...more,
});
function place(order, id = nextId++) {
  ib.placeOrder(id, stock, order);
  return id;
}
const status = (id, wanted) => first("orderStatus", (v) => v[0] === id && v[1] === wanted);

async function orders() {
  calls = {};
  const low = cents(price * 0.9);
  const id = place(limit("BUY", 10, low));
  await status(id, "Submitted");
  place(limit("BUY", 10, cents(low - 1)), id);
  await first("openOrder", (v) => v[0] === id && v[2].lmtPrice === cents(low - 1));
  const came = await ask("openOrderEnd", "reqAllOpenOrders");
  const again = came.openOrder.find((v) => v[0] === id);
  facts.limit = [again[3].status, again[2].lmtPrice, again[2].orderType];
  ib.cancelOrder(id);
  await status(id, "Cancelled");
  const bought = place({ action: "BUY", totalQuantity: 10, orderType: "MKT", tif: "DAY", transmit: true });
  const done = await status(bought, "Filled");
  const cost = (await first("commissionReport"))[0];
  const execution = (await first("execDetails"))[2];
  facts.market = [done[1], float(done[2]), done[4], execution.exchange, cost.commission, cost.currency];
  const question = place(limit("BUY", 100, low, { whatIf: true }));
  const state = (await first("openOrder", (v) => v[0] === question))[3];
  facts["what if"] = [float(state.initMarginChange), state.commission, state.commissionCurrency];
}

function conditions() {
  const found = [
    new api.PriceCondition(1e6, 1, stock.conId, "SMART", true, "a"),
    new api.TimeCondition("20991231 23:59:59 US/Eastern", true, "o"),
    new api.MarginCondition(1, false, "a"),
    new api.ExecutionCondition("SMART", "STK", "MSFT", "a"),
    new api.VolumeCondition(999999999, stock.conId, "SMART", true, "a"),
    new api.PercentChangeCondition(900, stock.conId, "SMART", true, "a"),
  ];
  return found;
}

async function specialOrders() {
  const low = cents(price * 0.9);
  const forever = "20991231 23:59:59 US/Eastern";
  const sell = { action: "SELL", totalQuantity: 5, tif: "GTC", transmit: true };
  const patient = [{ tag: "adaptivePriority", value: "Patient" }];
  calls = {};
  const ids = [
    place(limit("BUY", 10, low, { conditions: conditions() })),
    place({ ...sell, orderType: "TRAIL", trailingPercent: 2 }),
    place({ ...sell, orderType: "STP LMT", auxPrice: low, lmtPrice: low }),
    place(limit("BUY", 10, low, { algoStrategy: "Adaptive", algoParams: patient })),
    place(limit("BUY", 50, low, { tif: "GTD", goodTillDate: forever, displaySize: 10 })),
    place(limit("BUY", 10, low, { transmit: false })),
  ];
  ids.push(place(limit("SELL", 10, cents(low * 2), { tif: "GTC", parentId: ids[5] })));
  await first("openOrder", (v) => v[0] === ids[6]);
  const came = await ask("openOrderEnd", "reqAllOpenOrders");
  const found = ids.map((id) => came.openOrder.find((v) => v[0] === id));
  const echoed = found.map((v) => v[2]);
  facts.open = found.map((v) => [v[2].orderType, v[3].status, v[2].tif, float(v[2].totalQuantity)]);
  facts.conditions = echoed[0].conditions.map((c) => [c.type, c.conjunctionConnection, ...figures(c)]);
  facts.trail = echoed[1].trailingPercent;
  facts.stop = [echoed[2].auxPrice, echoed[2].lmtPrice];
  facts.algo = [echoed[3].algoStrategy, ...echoed[3].algoParams.map((p) => [p.tag, p.value])];
  facts.display = [echoed[4].displaySize, echoed[4].goodTillDate];
  facts.family = echoed[6].parentId === ids[5];
  ib.reqGlobalCancel();
  for (const id of ids) await status(id, "Cancelled");
}

function figures(c) {
  const names = ["price", "time", "percent", "symbol", "volume", "percentage", "isMore", "conId", "exchange"];
  return names.filter((name) => c[name] !== undefined).map((name) => c[name]);
}

async function books() {
  let came = await asked("execDetailsEnd", "reqExecutions", {});
  facts.executions = came.execDetails.map(([, , e]) => [e.side, float(e.shares), e.price, e.exchange]);
  came = await ask("positionEnd", "reqPositions");
  facts.positions = came.position.map(([, contract, held, cost]) => [contract.symbol, float(held), cost]);
  came = await ask("accountDownloadEnd", "reqAccountUpdates", true, "");
  const [contract, held, mark] = came.updatePortfolio[0];
  facts.portfolio = [contract.symbol, float(held), mark];
  const name = facts.accounts[0];
  came = await asked("pnl", "reqPnL", name, "");
  facts.profit = came.pnl[0].slice(1, 3).map(figure);
  came = await asked("pnlSingle", "reqPnLSingle", name, "", stock.conId);
  facts["single profit"] = [float(came.pnlSingle[0][1]), figure(came.pnlSingle[0][5])];
  came = await ask("completedOrdersEnd", "reqCompletedOrders", false);
  facts.completed = sorted(
    came.completedOrder.map(([, o, state]) => [o.orderType, state.status, float(o.filledQuantity)]),
  );
}

async function rest() {
  calls = {};
  let came = await asked("scannerDataEnd", "reqScannerSubscription", { instrument: "STK" });
  facts.scan = (came.scannerData ?? []).length;
  ib.reqFundamentalData(998, stock, "ReportSnapshot");
  await until(() => codes.has(430), "error 430");
  facts.fundamentals = "";
  came = await ask("mktDepthExchanges", "reqMktDepthExchanges");
  facts.venues = came.mktDepthExchanges[0][0].map((venue) => venue.exchange);
  came = await asked("smartComponents", "reqSmartComponents", "9c0001");
  facts.components = [...came.smartComponents[0][1].values()].map((component) => component[0]);
  ib.reqNewsBulletins(true);
  ib.reqMktData(11, stock, "292", false, false);
  ib.reqHistoricalData(12, stock, "", "1 D", "1 hour", "MIDPOINT", 1, 1, true);
  await first("historicalData", (v) => v[0] === 12 && String(v[1]).startsWith("finished"));
  await control({ cmd: "bulletin", text: "the exchange is late" });
  await control({ cmd: "news", symbol: "AAPL", headline: "up", text: "so it goes" });
  await control({ cmd: "halt", symbol: "AAPL" });
  await first("tickGeneric", (v) => v[1] === 49 && v[2] === 1);
  await control({ cmd: "halt", symbol: "AAPL", on: false });
  await first("tickGeneric", (v) => v[1] === 49 && v[2] === 0);
  facts.bulletin = [(await first("updateNewsBulletin"))[2]];
  const [, , provider, articleId, headline] = await first("tickNews");
  facts.headline = [[provider, headline]];
  came = await asked("newsArticle", "reqNewsArticle", provider, articleId);
  facts.article = came.newsArticle[0].slice(1);
  came = await asked("historicalNewsEnd", "reqHistoricalNews", stock.conId, "SIM", "", "", 10);
  facts["past news"] = came.historicalNews.map((v) => v[4]);
  const option = { symbol: "AAPL", secType: "OPT", exchange: "SMART", right: "C", currency: "USD", strike: 130 };
  option.lastTradeDateOrContractMonth = "20230120";
  ib.reqMktData(13, option, "", false, false);
  const model = await first("tickOptionComputation", (v) => v[1] === 13);
  facts.greeks = [micros(model[4]), micros(model[5])];
  calls = {};
  ib.calculateOptionPrice(14, option, 0.3, 131);
  const worth = await first("tickOptionComputation", (v) => v[0] === 14);
  facts["option price"] = micros(worth[5]);
  await step();
  facts.grown = (await first("historicalDataUpdate"))[5];
}

for (const part of [account, reference, data, orders, specialOrders, books, rest]) await part();
facts.errors = [...codes].filter((code) => !NOTICES.has(code) && code !== 430);
process.stdout.write(JSON.stringify(facts) + "\n");
ib.disconnect();
process.exit(0);
