"""The same result in tiles: how far they have to overlap, where they may begin, and the run itself.

`plan` reads margins and alignment off the fields of the outputs; `obstacles` tells what can't be
had in tiles, and at which node; `run` cuts, runs and joins arrays in memory, `lazy` arrays of dask,
and `stored` arrays of zarr.
"""

from rfgraph.tiling.axes import AxisPlan, Cut, OutputAxis
from rfgraph.tiling.equality import Cause, Equality
from rfgraph.tiling.obstacles import TilingError
from rfgraph.tiling.plan import Plan, plan
from rfgraph.tiling.stored import Stored, run_zarr
from rfgraph.tiling.verify import AxisVerification, Verification

__all__ = [
    "AxisPlan",
    "AxisVerification",
    "Cause",
    "Cut",
    "Equality",
    "OutputAxis",
    "Plan",
    "Stored",
    "TilingError",
    "Verification",
    "plan",
    "run_zarr",
]
