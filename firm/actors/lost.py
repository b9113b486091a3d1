"""What Ray raises when a process is gone: the call is lost, or may have been carried out."""

from typing import Final

import ray

LOST: Final = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.WorkerCrashedError,
)
"""Died, unavailable for the moment, killed for memory, or lost with its node."""
