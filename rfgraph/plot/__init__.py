"""Pictures of what units see, by matplotlib (``pip install 'rfgraph[plot]'``).

`unit`, `layers`, `effective`, `heat` and `best` give a `matplotlib.figure.Figure`, which may have
several panels; the others give the `matplotlib.axes.Axes` they draw on, whose ``figure`` it is.
``figure.savefig("a.png")`` writes it, and a notebook shows it. Every function takes ``ax=``, to
draw in a figure of one's own.

Which axes of an input are shown the analysis knows: those along which fields move, wherever they
stand. Colours can be told apart by the colour-blind.
"""

from rfgraph.plot.best import best
from rfgraph.plot.centres import centres
from rfgraph.plot.density import density
from rfgraph.plot.effective import effective
from rfgraph.plot.growth import growth
from rfgraph.plot.heat import heat
from rfgraph.plot.layers import layers
from rfgraph.plot.names import shortened
from rfgraph.plot.style import PlotError, available
from rfgraph.plot.tokens import tokens
from rfgraph.plot.unit import unit
from rfgraph.plot.used import used

__all__ = [
    "PlotError",
    "available",
    "best",
    "centres",
    "density",
    "effective",
    "growth",
    "heat",
    "layers",
    "shortened",
    "tokens",
    "unit",
    "used",
]
