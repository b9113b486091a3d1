"""The stress scenarios of a run: those of the configuration, made ready for the universe."""

from collections.abc import Mapping
from functools import lru_cache

from firm import config
from firm.domain.instrument import Instrument
from firm.risk.stress_map import packaged_stress_map
from firm.risk.stress_scenarios import packaged_scenarios, read_scenarios
from firm.risk.stress_tester import CompiledStress, StressTester


def stress_of(settings: config.Settings, instruments: tuple[Instrument, ...]) -> CompiledStress:
    """What every scenario does to every instrument, by the whole configuration."""
    return compiled_stress(settings.risk.stress, settings.universe.reference, instruments)


def compiled_stress(
    settings: config.Stress, reference: Mapping[str, config.Reference], instruments: tuple[Instrument, ...]
) -> CompiledStress:
    """What every scenario does to every instrument; sectors are those of `reference`, by symbol."""
    sectors = tuple((symbol, known.sector) for symbol, known in reference.items())
    return _compiled(settings.scenarios, sectors, instruments)


@lru_cache(maxsize=4)
def _compiled(
    text: str | None, sectors: tuple[tuple[str, str], ...], instruments: tuple[Instrument, ...]
) -> CompiledStress:
    scenarios = packaged_scenarios() if text is None else read_scenarios(text, "risk.stress.scenarios")
    return StressTester(scenarios, packaged_stress_map()).shocks(instruments, dict(sectors))
