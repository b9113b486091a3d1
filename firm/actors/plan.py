"""What a run is, as handed from the launcher to the supervisor and from there to every actor."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firm.config import Settings
from firm.events.scheduled import SessionsLoaded
from firm.events.system import RunStarted


@dataclass(frozen=True)
class GatewayAddress:
    """Where the broker's gateway listens; `control_port` and `pid` only of a simulated one of ours."""

    host: str
    port: int
    control_port: int | None
    pid: int | None

    def end(self) -> None:
        """End a simulated gateway of ours, if it still runs; its journal has everything."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)


@dataclass(frozen=True)
class RunPlan:
    """Everything a start needs. `settings` is the whole configuration as JSON; keys are read where used."""

    run_dir: str
    settings: str
    gateway: GatewayAddress
    symbols: tuple[str, ...]
    started: RunStarted
    sessions: SessionsLoaded

    @property
    def directory(self) -> Path:
        """The run's directory, on the core node."""
        return Path(self.run_dir)

    def config(self) -> Settings:
        """The settings, parsed."""
        return Settings.model_validate_json(self.settings)
