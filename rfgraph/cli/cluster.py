"""What commands have in common: the dask cluster that works for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rfgraph.errors import RFGraphError


@contextmanager
def client_of(address: str | None) -> Iterator[Any]:
    """The client of a cluster that has workers; None without an address."""
    if address is None:
        yield None
        return
    try:
        from dask.distributed import Client
    except ImportError:
        raise RFGraphError(
            "--dask needs dask, which is not installed", remedy="pip install 'rfgraph[dask]'"
        ) from None
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise RFGraphError(
            f"--dask {address}: the scheduler can't be reached: {error}", remedy="check the address"
        ) from None
    with client:
        if not client.ncores():
            raise RFGraphError(
                f"--dask {address}: the cluster has no workers", remedy="start one: dask worker"
            )
        yield client
