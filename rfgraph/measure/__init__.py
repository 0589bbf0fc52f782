"""What a trained network really uses of what it can see, by runs of it: no gradients, any model.

`effective` measures how much units change, on average, with each element that they can see:
`sampling` says which elements are changed together, and `spread` how far the answer spreads;
`growth` measures several values, and `by_node` one unit by the chain rule.

`occlusion` finds the empirical fields of particular units: `excited` the images that excite them
most, `places` where these are covered, and `discrepancy` holds what that has shown.

`runs` runs a model up to the values that are looked at, and adds results up in an order of their
own; `stored` keeps them, for a run that was ended to be gone on with. `images` brings what a model
is run on to the form that its input takes.
"""

from rfgraph.measure.discrepancy import Occluded, Occlusion, UnitField
from rfgraph.measure.effective import effective
from rfgraph.measure.growth import growth
from rfgraph.measure.images import Images, Layout, images_of
from rfgraph.measure.occlusion import occlusion
from rfgraph.measure.spread import Box, Effective, Growth

__all__ = [
    "Box",
    "Effective",
    "Growth",
    "Images",
    "Layout",
    "Occluded",
    "Occlusion",
    "UnitField",
    "effective",
    "growth",
    "images_of",
    "occlusion",
]
