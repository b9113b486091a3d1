"""A launcher's session: prepare the run, start the firm, watch it, and say how it ended."""

import argparse
import signal
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from firm.actors import cluster
from firm.actors.nodes import require_core, require_one_firm
from firm.actors.plan import RunPlan
from firm.actors.preflight import open_run_dir, require_free_port, require_same_run
from firm.actors.preparation import prepare_gateway, prepare_plan, prepare_settings
from firm.actors.supervisor import Progress, Supervisor
from firm.actors.view import View
from firm.config import Settings
from firm.ops.wishes import request_stop

WATCH_EVERY_S = 0.5
ANSWERS_WITHIN_S = 5.0
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

    def leave_if_asked(self) -> None:
        """Between two steps of the start: after a Ctrl-C the next step is not taken."""
        if self.count:
            raise KeyboardInterrupt


def run(arguments: argparse.Namespace) -> int:
    """Run the firm to its end; 0 in good order, 1 if it failed, 130 if it was interrupted early or twice."""
    settings = prepare_settings(arguments)
    interrupt = Interrupt()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with View(quiet=arguments.quiet) as view:
        try:
            if settings.cluster.address is not None:
                _connect(settings, view)
                require_core()
                if (running := _already_running()) is not None:
                    plan = ray.get(running.plan.remote())
                    view.stage(f"the firm is trading already, in {plan.run_dir}: watching it")
                    return _watch(running, plan, view, interrupt)
                view.stage("comparing the nodes")
                require_one_firm()
            with ExitStack() as undo:
                return _start(arguments, settings, view, interrupt, undo)
        except KeyboardInterrupt:
            view.stage("interrupted: left at once; start again on the same --run-dir to resume")
            return 130
        finally:
            cluster.disconnect()


def _start(
    arguments: argparse.Namespace, settings: Settings, view: View, interrupt: Interrupt, undo: ExitStack
) -> int:
    """Start the firm and watch it. Its simulated gateway ends with us, unless a firm on a cluster has it."""
    run_dir = (arguments.run_dir or _new_run_dir()).resolve()
    view.stage(f"run directory {run_dir}")
    recorded = open_run_dir(run_dir)
    require_free_port(settings)
    gateway = prepare_gateway(arguments, settings, run_dir, view)
    undo.callback(gateway.end)
    interrupt.leave_if_asked()
    view.stage("computing the numeric fingerprint")
    plan = prepare_plan(settings, run_dir, gateway)
    if recorded is not None:
        require_same_run(recorded, plan.started, run_dir)
    if settings.cluster.address is None:
        _connect(settings, view)
    interrupt.leave_if_asked()
    supervisor = _supervise(plan)
    if settings.cluster.address is not None:
        undo.pop_all()
    return _watch(supervisor, plan, view, interrupt)


def _connect(settings: Settings, view: View) -> None:
    view.stage("starting Ray (about 10 s)" if settings.cluster.address is None else "joining Ray")
    dashboard = cluster.connect(settings.cluster)
    if dashboard:
        view.stage(f"Ray dashboard at http://{dashboard} (its token: ray get-auth-token)")


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
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {
        "name": SUPERVISOR,
        "num_cpus": 0,
        "max_restarts": -1,
        "lifetime": "detached",
        "scheduling_strategy": here,
    }
    return ray.remote(Supervisor).options(**options).remote(plan)


def _new_run_dir() -> Path:
    return Path("runs") / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]


def _watch(supervisor: Any, plan: RunPlan, view: View, interrupt: Interrupt) -> int:
    """Follow the firm to its end; 0 in good order, 1 if it failed. On a cluster Ctrl-C only detaches."""
    with ExitStack() as undo:
        progress = Progress("", ended=False, error=None, restarts=0)
        asked_to_stop = False
        while not progress.ended:
            if interrupt.count and not asked_to_stop:
                if plan.config().cluster.address is not None:
                    view.stage(
                        "detached, the firm is still trading: firm stop ends it, --address auto watches it"
                    )
                    return 0
                wish = request_stop(plan.directory, "interrupted by the operator")
                undo.callback(wish.unlink, missing_ok=True)  # it is not meant for the next start
                view.stage("shutting down in good order (Ctrl-C again to leave at once)")
                asked_to_stop = True
            progress = _look(supervisor, view, progress)
            time.sleep(WATCH_EVERY_S)
    ray.kill(supervisor, no_restart=True)
    if progress.error is not None:
        view.failed(progress.error, plan.directory)
        return 1
    view.summary(plan.directory)
    return 0


def _look(supervisor: Any, view: View, before: Progress) -> Progress:
    """Where the firm is now. A supervisor that has died comes back by itself, if Ray still runs."""
    try:
        progress, figures = ray.get(supervisor.watch.remote(), timeout=ANSWERS_WITHIN_S)
    except (ray.exceptions.ActorUnavailableError, ray.exceptions.GetTimeoutError):
        if _has_node():
            return before
        lost = "Ray was needed on this machine, found that it has ended under the firm"
        return Progress("failed", ended=True, error=lost, restarts=0)
    except ray.exceptions.RayError as error:
        return Progress("failed", ended=True, error=f"Ray has lost the firm: {error}", restarts=0)
    view.progress(progress.stage, figures)
    return Progress(*progress)


def _has_node() -> bool:
    """Whether the node we are on, and the firm's core with us, still is one."""
    here = ray.get_runtime_context().get_node_id()
    return any(node["NodeID"] == here and node["Alive"] for node in ray.nodes())
