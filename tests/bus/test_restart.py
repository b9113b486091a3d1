# """A firm restarted between any two cycles goes on as if nothing had happened, also with an agent that is ill."""
#
# from collections.abc import Callable
# from typing import Any
#
# import pytest
# import whole_firm
# from ailments import AILMENTS, EAGER, OPEN, TAPE, ChangedCrew, StageBroker, ill_log
#
# from firm.bus.cycle import Cycle
# from firm.bus.log import Log
# from firm.bus.recorded import cycle_starts, recorded_batch
# from firm.events import Entry
# from firm.events.orders import OrderSubmitted
# from firm.events.system import CycleAborted, EntrySkipped, TradingHalted, TradingRearmed
# from firm.roster import rules
