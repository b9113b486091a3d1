"""Risk figures for tests that do not measure any."""

from firm.events.risk import RiskMeasured


def measured(*figures: float, unknown: tuple[str, ...] = ()) -> RiskMeasured:
    """VaR and ES by the three methods, historical first; one figure stands for all six."""
    historical_var, historical_es, parametric_var, parametric_es, monte_carlo_var, monte_carlo_es = (
        figures * 6 if len(figures) == 1 else figures
    )
    return RiskMeasured(
        historical_var=historical_var,
        historical_es=historical_es,
        parametric_var=parametric_var,
        parametric_es=parametric_es,
        monte_carlo_var=monte_carlo_var,
        monte_carlo_es=monte_carlo_es,
        confidence=0.99,
        es_confidence=0.975,
        worst_stress="crash",
        worst_stress_loss=5.0,
        delta=0.0,
        gamma=0.0,
        vega=0.0,
        stressed_var=1.0,
        average_correlation=0.4,
        regime="normal",
        components=(),
        unknown=unknown,
    )
