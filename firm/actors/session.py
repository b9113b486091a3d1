"""A launcher's session: prepare the run, start the firm, watch it, and say how it ended."""

import argparse
import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from firm.actors import cluster
from firm.actors.plan import RunPlan
from firm.actors.preparation import prepare_gateway, prepare_plan, prepare_settings
from firm.actors.supervisor import Progress, Supervisor
from firm.actors.view import View
from firm.config import Settings
from firm.ops.wishes import request_stop

WATCH_EVERY_S = 0.5
SUPERVISOR = "supervisor"


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
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with View(quiet=arguments.quiet) as view:
        try:
            if settings.cluster.address is not None:
                _connect(settings, view)
                if (running := _already_running()) is not None:
                    plan = ray.get(running.plan.remote())
                    view.stage(f"the firm is trading already, in {plan.run_dir}: watching it")
                    return _watch(running, plan, view, interrupt)
            plan = _prepare(arguments, settings, view)
            if settings.cluster.address is None:
                _connect(settings, view)
            return _watch(_supervise(plan), plan, view, interrupt)
        except KeyboardInterrupt:
            view.stage("interrupted twice: left at once; start again on the same --run-dir to resume")
            return 130
        finally:
            cluster.disconnect()


def _prepare(arguments: argparse.Namespace, settings: Settings, view: View) -> RunPlan:
    run_dir = (arguments.run_dir or _new_run_dir()).resolve()
    view.stage(f"run directory {run_dir}")
    gateway = prepare_gateway(arguments, settings, run_dir, view)
    view.stage("computing the numeric fingerprint")
    return prepare_plan(settings, run_dir, gateway)


def _connect(settings: Settings, view: View) -> None:
    view.stage("starting Ray (about 10 s)" if settings.cluster.address is None else "joining Ray")
    dashboard = cluster.connect(settings.cluster)
    if dashboard:
        view.stage(f"Ray dashboard at http://{dashboard}")


def _already_running() -> Any | None:
    """The supervisor of a firm that trades on this cluster; one that has ended is cleared away."""
    try:
        supervisor = ray.get_actor(SUPERVISOR)
    except ValueError:
        return None
    progress, _ = ray.get(supervisor.watch.remote())
    if not progress.ended:
        return supervisor
    ray.kill(supervisor, no_restart=True)
    return None


def _supervise(plan: RunPlan) -> Any:
    options = {"name": SUPERVISOR, "num_cpus": 0, "max_restarts": -1, "lifetime": "detached"}
    return ray.remote(Supervisor).options(**options).remote(plan)


def _new_run_dir() -> Path:
    return Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def _watch(supervisor: Any, plan: RunPlan, view: View, interrupt: Interrupt) -> int:
    """Follow the firm to its end; 0 in good order, 1 if it failed. On a cluster Ctrl-C only detaches."""
    ray.get(supervisor.start.remote())
    asked_to_stop = False
    progress = Progress("", ended=False, error=None, restarts=0)
    while not progress.ended:
        if interrupt.count and not asked_to_stop:
            if plan.config().cluster.address is not None:
                view.stage(
                    "detached, the firm is still trading: firm stop ends it, --address auto watches it"
                )
                return 0
            request_stop(plan.directory, "interrupted by the operator")
            view.stage("shutting down in good order (Ctrl-C again to leave at once)")
            asked_to_stop = True
        try:
            progress, figures = ray.get(supervisor.watch.remote())
            view.progress(progress.stage, figures)
        except ray.exceptions.ActorUnavailableError:
            ray.get(supervisor.start.remote())
        time.sleep(WATCH_EVERY_S)
    ray.kill(supervisor, no_restart=True)
    if progress.error is not None:
        view.failed(progress.error, plan.directory)
        return 1
    view.summary(plan.directory)
    return 0
