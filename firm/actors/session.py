"""A launcher's session: prepare the run, start the firm, watch it, and say how it ended."""

import argparse
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import ray

from firm.actors import cluster
from firm.actors.plan import RunPlan
from firm.actors.preparation import prepare_gateway, prepare_plan, prepare_settings
from firm.actors.supervisor import Progress, Supervisor
from firm.actors.view import View
from firm.config import Settings
from firm.ops.wishes import request_stop

WATCH_EVERY_S = 0.5


class Interrupt:
    """Ctrl-C, counted: the first asks the firm to shut down, the second leaves at once."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        del number, frame
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt


def run(arguments: argparse.Namespace) -> int:
    """Run the firm to its end; 0 in good order, 1 if it failed, 130 if it was interrupted twice."""
    settings = prepare_settings(arguments)
    run_dir = (arguments.run_dir or _new_run_dir()).resolve()
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with View(quiet=arguments.quiet) as view:
        try:
            view.stage(f"run directory {run_dir}")
            gateway = prepare_gateway(arguments, settings, run_dir, view)
            view.stage("computing the numeric fingerprint")
            plan = prepare_plan(settings, run_dir, gateway)
            view.stage("starting Ray (about 10 s)" if settings.cluster.address is None else "joining Ray")
            dashboard = cluster.connect(settings.cluster)
            if dashboard:
                view.stage(f"Ray dashboard at http://{dashboard}")
            return _watch(plan, settings, view, interrupt)
        except KeyboardInterrupt:
            view.stage("interrupted twice: left at once; start again on the same --run-dir to resume")
            return 130
        finally:
            cluster.disconnect()


def _new_run_dir() -> Path:
    return Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def _watch(plan: RunPlan, settings: Settings, view: View, interrupt: Interrupt) -> int:
    supervisor = (
        ray.remote(Supervisor)
        .options(name="supervisor", num_cpus=0, lifetime="detached", get_if_exists=True)
        .remote(plan)
    )
    ray.get(supervisor.start.remote())
    asked_to_stop = False
    progress = Progress("", ended=False, error=None, restarts=0)
    while not progress.ended:
        if interrupt.count and not asked_to_stop:
            if settings.cluster.address is not None:
                view.stage(
                    "detached: the firm is still trading; `firm stop` ends it, --address auto watches it"
                )
                return 0
            request_stop(plan.directory, "interrupted by the operator")
            view.stage("shutting down in good order (Ctrl-C again to leave at once)")
            asked_to_stop = True
        progress, figures = ray.get(supervisor.watch.remote())
        view.progress(progress.stage, figures)
        time.sleep(WATCH_EVERY_S)
    ray.get(supervisor.stop.remote(settings.cluster.shutdown_timeout_s))
    ray.kill(supervisor, no_restart=True)
    if progress.error is not None:
        view.failed(progress.error, plan.directory)
        return 1
    view.summary(plan.directory)
    return 0
