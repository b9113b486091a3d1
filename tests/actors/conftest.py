"""One embedded Ray for the tests that need it."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Ray on two CPUs, without dashboard."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    import whole_firm

    from firm.actors.cluster import connect, disconnect

    cluster = whole_firm.settings("cluster.dashboard=false", "cluster.namespace=firm-tests").cluster
    connect(cluster)
    yield
    disconnect()
