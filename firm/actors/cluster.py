"""Ray itself: an embedded one, or the running cluster."""

import os

import ray

from firm.config import Cluster
from firm.errors import FirmError
from firm.numeric_env import numeric_environment

KEEP_IDLE_WORKERS_MS = 24 * 3600 * 1000
"""Workers between two risk runs are kept: a fresh one would compile its kernels first. See deploy/env.sh."""


WORKER_NICENESS = 0
"""Ray's own default is 15: whatever else runs on the machine would come before the firm."""


def connect(cluster: Cluster) -> str:
    """Start an embedded Ray, or join the running one; the dashboard's address, or nothing."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled" if cluster.address is None else "token")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    environment = {"env_vars": numeric_environment()}
    if cluster.address is not None:
        try:
            context = ray.init(
                address=cluster.address,
                namespace=cluster.namespace,
                runtime_env=environment,
                log_to_driver=False,
                logging_level="ERROR",
            )
        except ConnectionError as error:
            raise FirmError(
                f"a Ray cluster was needed at address {cluster.address!r}, found none: {error}. Start one "
                "with `ray up cluster.yaml`, or leave out --address to run an embedded Ray."
            ) from error
    else:
        context = ray.init(
            address="local",  # never one that RAY_ADDRESS or a `ray start` on this machine offers
            num_cpus=cluster.num_cpus,
            namespace=cluster.namespace,
            object_store_memory=cluster.object_store_mb * 1024 * 1024,
            include_dashboard=cluster.dashboard,
            dashboard_host="127.0.0.1",
            log_to_driver=False,
            logging_level="ERROR",
            _system_config={
                "idle_worker_killing_time_threshold_ms": KEEP_IDLE_WORKERS_MS,
                "worker_niceness": WORKER_NICENESS,
            },
        )
    return str(context.dashboard_url or "")


def disconnect() -> None:
    """Leave the cluster; an embedded Ray ends with it."""
    ray.shutdown()
