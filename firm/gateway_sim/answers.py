"""Which function answers which request, by the request's name."""

from collections.abc import Callable

from firm.gateway_sim import answers_account, answers_data, answers_options, answers_orders, answers_reference
from firm.gateway_sim.brokerage import Brokerage
from firm.gateway_sim.codec.table import Values
from firm.gateway_sim.session import Session

Answer = Callable[[Brokerage, Session, Values], None]

ANSWERS: dict[str, Answer] = {
    "reqContractDetails": answers_data.contract_details,
    "reqMatchingSymbols": answers_data.matching_symbols,
    "reqMarketRule": answers_data.market_rule,
    "reqMktData": answers_data.market_data,
    "reqTickByTickData": answers_data.tick_by_tick,
    "reqHistoricalData": answers_data.historical,
    "reqHeadTimeStamp": answers_data.head_timestamp,
    "reqRealTimeBars": answers_data.realtime_bars,
    "reqOpenOrders": answers_orders.open_orders,
    "reqAllOpenOrders": answers_orders.all_open_orders,
    "reqCompletedOrders": answers_orders.completed_orders,
    "reqExecutions": answers_orders.executions,
    "reqPositions": answers_account.positions,
    "reqPositionsMulti": answers_account.positions_multi,
    "reqAccountUpdates": answers_account.account_updates,
    "reqAccountUpdatesMulti": answers_account.account_updates_multi,
    "reqAccountSummary": answers_account.account_summary,
    "reqPnL": answers_account.profit_and_loss,
    "reqPnLSingle": answers_account.profit_and_loss,
    "reqSecDefOptParams": answers_options.option_parameters,
    "calculateImpliedVolatility": answers_options.calculate,
    "calculateOptionPrice": answers_options.calculate,
    "reqMktDepth": answers_reference.market_depth,
    "reqMktDepthExchanges": answers_reference.depth_venues,
    "reqSmartComponents": answers_reference.smart_components,
    "reqHistoricalTicks": answers_reference.historical_ticks,
    "reqNewsProviders": answers_reference.news_providers,
    "reqNewsArticle": answers_reference.news_article,
    "reqHistoricalNews": answers_reference.historical_news,
    "reqNewsBulletins": answers_reference.bulletins,
    "reqScannerSubscription": answers_reference.scanner,
    "reqScannerParameters": answers_reference.scanner_parameters,
    "reqFundamentalData": answers_reference.fundamentals,
    "requestFA": answers_reference.advisor,
    "replaceFA": answers_reference.advisor,
}
# Requests that are not served and whose answer, if nothing is known, is an empty list.
EMPTY_ANSWERS: dict[str, tuple[str, Values]] = {
    "reqSoftDollarTiers": ("softDollarTiers", {"tiers": []}),
    "reqFamilyCodes": ("familyCodes", {"codes": []}),
    "reqUserInfo": ("userInfo", {}),
}
