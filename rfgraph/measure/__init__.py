"""What a trained network really uses of what it can see, by runs of it: no gradients, any model.

`effective` measures how much units change, on average, with each element that they can see:
`sampling` says which elements are changed together, and `spread` how far the answer spreads.

`runs` runs a model up to the values that are looked at, and adds results up in an order of their
own; `stored` keeps them, for a run that was ended to be gone on with. `images` has what it is run
on.
"""

from rfgraph.measure.effective import effective, growth
from rfgraph.measure.spread import Box, Effective, Growth

__all__ = ["Box", "Effective", "Growth", "effective", "growth"]
