"""Whether a model sees the same elements elsewhere: in other runtimes, or as a twin of it.

`agree` runs the sides (`sides`), compares their outputs (`whole`), cuts the model into its nodes
(`cut`), and looks at those that part (`node`), or, of two models, at the first value (`twins`).
"""

from rfgraph.agreement.agree import agree
from rfgraph.agreement.result import Agreement, AxisSeen, Difference, OutputFound, Pair, SideFound

__all__ = ["Agreement", "AxisSeen", "Difference", "OutputFound", "Pair", "SideFound", "agree"]
