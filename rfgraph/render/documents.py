"""What the commands about one model have found, for every format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rfgraph.analysis.analysis import Analysis
from rfgraph.render.rows import Module, Row

if TYPE_CHECKING:
    from rfgraph.analysis.objects import Fit
    from rfgraph.engine.support import Support
    from rfgraph.engine.why import Explanation
    from rfgraph.streaming import Plan as StreamPlan
    from rfgraph.streaming import StreamingError, StreamingModel
    from rfgraph.tiling import Plan, Stored, TilingError, Verification

# Along each axis of an input: the first and the last coordinate.
Box = tuple[tuple[int, int], ...]


class Screen(NamedTuple):
    """Where a text is shown.

    Attributes
    ----------
    width : int or None
        How many characters a line of the terminal has; None where it goes to a file or another
        program.
    colours : bool
        Whether it may have colours.
    cut : str
        What stands for what is left out of a name.
    """

    width: int | None = None
    colours: bool = False
    cut: str = "..."


class LayerTable(NamedTuple):
    """What `rfgraph show` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    rows : sequence of Row
        What is shown of each value.
    densities : sequence of mapping, or None
        By row and input, where they are asked for.
    all_axes : bool
        Whether all axes of the inputs are shown.
    hints : sequence of str
        What else is to be said.
    time : mapping of str to int, or None
        The time axis of inputs, if look-ahead is asked for.
    modules : mapping of str to Module, or None
        By value, if it is to be told in which module each is made.
    screen : Screen
        Where it is shown.
    """

    analysis: Analysis
    rows: Sequence[Row]
    densities: Sequence[Mapping[str, float] | None] | None
    all_axes: bool
    hints: Sequence[str]
    time: Mapping[str, int] | None = None
    modules: Mapping[str, Module] | None = None
    screen: Screen = Screen()


class Listing(NamedTuple):
    """What ``rfgraph show --program`` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    names : sequence of str
        The values whose program is shown.
    """

    analysis: Analysis
    names: Sequence[str]


class Seen(NamedTuple):
    """What one unit, or the units of a region, see.

    Attributes
    ----------
    tensor, operator : str
        The value, and what makes it.
    unit : tuple of int or slice
        Which of its units.
    boxes : dict of str to box
        By input.
    supports : dict of str to Support
        By input; empty where only boxes are asked for.
    """

    tensor: str
    operator: str
    unit: tuple[int | slice, ...]
    boxes: Mapping[str, Box | None]
    supports: Mapping[str, Support | None]


class Units(NamedTuple):
    """What `rfgraph unit` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    inputs : sequence of str
        Of which inputs it tells.
    found : sequence of Seen
        One for each unit or region.
    drawn : bool
        Whether the first one is drawn.
    width : int
        How many characters a line of a drawing has.
    blocks : bool
        Whether it may be drawn with characters beyond ASCII.
    """

    analysis: Analysis
    inputs: Sequence[str]
    found: Sequence[Seen]
    drawn: bool
    width: int
    blocks: bool


class Reasons(NamedTuple):
    """What `rfgraph why` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    tensor : str
        The value.
    unit : tuple of int
        One of its units.
    local : bool
        Whether what is global is left out.
    found : mapping of str to sequence of Explanation
        By input, one for each axis.
    """

    analysis: Analysis
    tensor: str
    unit: tuple[int, ...]
    local: bool
    found: Mapping[str, Sequence[Explanation]]


class Tiling(NamedTuple):
    """What `rfgraph tile` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    plan : Plan or None
        How to cut the inputs.
    obstacle : TilingError or None
        Why no tiles give the result of the whole, where there is no plan.
    verified : Verification or None
        What runs of tiles and of the whole have shown, where they are asked for.
    stored : Stored or None
        What was run, if anything was.
    """

    analysis: Analysis
    plan: Plan | None
    obstacle: TilingError | None
    verified: Verification | None = None
    stored: Stored | None = None


class Fits(NamedTuple):
    """What `rfgraph fit` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    found : sequence of Fit
        By output and input.
    """

    analysis: Analysis
    found: Sequence[Fit]


class Streaming(NamedTuple):
    """What `rfgraph stream` has found.

    Attributes
    ----------
    analysis : Analysis
        Of the model.
    plan : rfgraph.streaming.Plan or None
        How it follows a stream, if it can be had on one.
    obstacle : StreamingError or None
        Why it can't be had on a stream; or where there is a plan, why it can't be converted.
    converted : StreamingModel or None
        The model with explicit states, where it was asked for.
    """

    analysis: Analysis
    plan: StreamPlan | None
    obstacle: StreamingError | None
    converted: StreamingModel | None = None
