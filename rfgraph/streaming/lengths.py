"""How many steps a value has, by the samples of the stream."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Length:
    """A number of steps as a chain of ``(number * times + plus) // by``.

    Attributes
    ----------
    links : tuple of (int, int, int)
        `times`, `plus` and `by` of each, from the samples on.

    Examples
    --------
    >>> frames = Length().then(plus=-6, by=5)
    >>> frames.of(16), frames.then(times=5, plus=6).of(16)
    (2, 16)
    """

    links: tuple[tuple[int, int, int], ...] = ()

    def then(self, times: int = 1, plus: int = 0, by: int = 1) -> Length:
        """What follows of this number of steps."""
        if (times, plus, by) == (1, 0, 1):
            return self
        if times == by == 1 and self.links and self.links[-1][2] == 1:
            first, more, _ = self.links[-1]
            return Length((*self.links[:-1], (first, more + plus, 1)))
        return Length((*self.links, (times, plus, by)))

    def of(self, samples: int) -> int:
        """The steps that there are of so many samples, from 0 on."""
        steps = samples
        for times, plus, by in self.links:
            steps = max((steps * times + plus) // by, 0)
        return steps


__all__ = ["Length"]
