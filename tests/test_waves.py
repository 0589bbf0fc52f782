"""Waves against their definition, written out in numpy over many periods."""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest

from rfgraph.engine import _waves
from rfgraph.engine._waves import ENDLESS, IRREGULAR, NOTHING, Waves


@lru_cache
def whole(axis: int, size: int = 1 << 20, *, grows: bool = True) -> _waves.Digit:
    """The whole of an axis: equal ones are one."""
    return _waves.Digit(axis, 1, size, 0, grows)


class Plain(NamedTuple):
    """A wave by its definition."""

    firsts: np.ndarray
    lasts: np.ndarray
    advances: tuple[int, ...]

    def at(self, *values: int) -> tuple[int, int]:
        """First coordinate, and the last one negated, at one value of each digit."""
        periods = self.firsts.shape
        place = tuple(v % n for v, n in zip(values, periods, strict=True))
        on = sum(v // n * by for v, n, by in zip(values, periods, self.advances, strict=True))
        first, last = int(self.firsts[place]), int(self.lasts[place])
        return (
            first if abs(first) >= NOTHING else first + on,
            last if abs(last) >= NOTHING else last - on,
        )


def random_wave(rng: random.Random, waves: Waves, digits: int) -> tuple[int, Plain]:
    periods = tuple(rng.choice([1, 1, 2, 3, 4, 6]) for _ in range(digits))
    advances = tuple(rng.choice([-3, 0, 1, 1, 2, 5]) for _ in range(digits))
    firsts = np.array([rng.randint(-9, 9) for _ in range(int(np.prod(periods)))]).reshape(periods)
    lasts = -(firsts + np.array([rng.randint(0, 5) for _ in range(firsts.size)]).reshape(periods))
    for place in product(*map(range, periods)):
        if rng.random() < 0.1:
            firsts[place] = lasts[place] = NOTHING
        elif rng.random() < 0.1:
            firsts[place] = ENDLESS
    plain = Plain(firsts, lasts, advances)
    return waves.listed(periods, advances, firsts.reshape(-1), lasts.reshape(-1)), plain


def seen(
    waves: Waves, slot: int, digits: tuple[_waves.Digit, ...], place: dict[int, int]
) -> object:
    """What a wave gives where its digits, by axis, have these values."""
    firsts, lasts = waves.at(slot, [[place[digit.axis]] for digit in digits])
    return firsts[0], lasts[0]


SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_shortest_periods_give_the_same(seed: int) -> None:
    rng, waves = random.Random(seed), Waves()
    digits = tuple(whole(axis) for axis in range(rng.choice([1, 2, 3])))
    slot, plain = random_wave(rng, waves, len(digits))
    order = tuple(rng.sample(digits, len(digits)))
    made, left = waves.shortest(slot, digits, order)
    assert [digit.axis for digit in left] == sorted(digit.axis for digit in left)
    for place in product(range(-7, 14, 3), repeat=len(digits)):
        assert seen(waves, made, left, dict(enumerate(place))) == plain.at(*place)
    # What is made once more is the same wave.
    assert waves.shortest(made, left, left) == (made, left)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_window_is_the_least_of_what_it_reads(seed: int) -> None:
    rng, waves = random.Random(seed), Waves()
    digits = (whole(0), whole(1))
    slot, plain = random_wave(rng, waves, 2)
    phases = rng.choice([1, 1, 2, 3])
    starts = [rng.randint(-5, 5) for _ in range(phases)]
    counts = [rng.choice([0, 1, 2, 3, 40]) for _ in range(phases)]
    advance, step = rng.choice([-2, 0, 1, 2, 3]), rng.choice([1, 1, 2, 3])
    made, left = waves.window(slot, 0, digits, starts, counts, step, advance)
    for o, other in product(range(-6, 12), range(-2, 5)):
        q, phase = divmod(o, phases)
        first = starts[phase] + q * advance
        read = [plain.at(first + t * step, other) for t in range(counts[phase])]
        wanted = tuple(min((ends[side] for ends in read), default=NOTHING) for side in (0, 1))
        assert seen(waves, made, left, {0: o, 1: other}) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_all_values_of_a_digit_joined(seed: int) -> None:
    rng, waves = random.Random(seed), Waves()
    slot, plain = random_wave(rng, waves, 2)
    values = rng.choice([range(rng.randint(1, 60)), sorted(rng.sample(range(50), 7))])
    made, left = waves.joined_over(slot, 1, (whole(0),), values)
    for o in range(-6, 12):
        read = [plain.at(o, value) for value in values]
        wanted = min(first for first, _ in read), min(last for _, last in read)
        assert seen(waves, made, left, {0: o}) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_the_union_of_two(seed: int) -> None:
    rng, waves = random.Random(seed), Waves()
    digits = (whole(0, 12, grows=False), whole(1))
    one, plain = random_wave(rng, waves, 2)
    other, another = random_wave(rng, waves, 1)
    both = waves.least(one, other, digits, digits[1:], digits)
    paces = [wave.advances[-1] / wave.firsts.shape[-1] for wave in (plain, another)]
    assert (both is None) == (paces[0] != paces[1])
    if both is None:
        return
    for place in product(range(12), range(-7, 14)):
        wanted = tuple(map(min, plain.at(*place), another.at(place[1])))
        assert seen(waves, *both, dict(enumerate(place))) == wanted


@pytest.mark.parametrize("seed", SEEDS)
def test_a_digit_cut_in_two_and_made_one_again(seed: int) -> None:
    rng, waves = random.Random(seed), Waves()
    slot, plain = random_wave(rng, waves, 1)
    size = rng.choice([2, 3, 4])
    cut = waves.cut(slot, 0, size)
    coordinates = range(-12, 24)
    for coordinate in coordinates:
        upper, lower = divmod(coordinate, size)
        firsts, lasts = waves.at(cut, [[upper], [lower]])
        assert (firsts[0], lasts[0]) == plain.at(coordinate)
    length = size * waves[cut].periods[0]
    values = [np.arange(length) // size, np.arange(length) % size]
    made = waves.diagonal(cut, [0, 1], values, waves[cut].advances[0], (whole(0),))
    for coordinate in coordinates:
        assert seen(waves, *made, {0: coordinate}) == plain.at(coordinate)


def test_equal_waves_are_one() -> None:
    waves = Waves()
    long = waves.listed((4,), (4,), [0, 1, 2, 3], [0, -1, -2, -3])
    short = waves.listed((1,), (1,), [0], [0])
    assert waves.shortest(long, (whole(0),), (whole(0),)) == (short, (whole(0),))
    assert long != short
    # A list of all values there are may go on as it likes, and what is behind its end is nothing.
    listed = waves.listed((4,), (0,), [5, 7, 9, 1], [-5, -7, -9, -1])
    made, left = waves.shortest(listed, (whole(0, 3),), (whole(0, 3),))
    assert (waves[made].periods, waves[made].advances, left) == ((1,), (2,), (whole(0, 3),))


def test_what_does_not_vary_has_no_digits() -> None:
    waves = Waves()
    slot = waves.listed((2, 1), (0, 3), [ENDLESS, ENDLESS], [NOTHING, NOTHING])
    assert waves.shortest(slot, (whole(0), whole(1)), (whole(0), whole(1)))[1] == ()


def test_what_leaves_the_range_of_whole_numbers_is_irregular() -> None:
    waves = Waves()
    slot = waves.listed((1,), (1 << 40,), [0], [0])
    read = ([1 << 30], [1], 1, 1 << 30)
    assert waves.window(slot, 0, (whole(0),), *read) == (IRREGULAR, ())
    long = waves.listed((3,), (3,), [0, 1, 0], [0, -1, 0])
    starts = list(range(0, 1 << 17, 2))
    read = (starts, [1] * len(starts), 1, 1)
    assert waves.window(long, 0, (whole(0),), *read) == (IRREGULAR, ())


def test_bad_input() -> None:
    waves = Waves()
    with pytest.raises(IndexError):
        waves[0]
    with pytest.raises(ValueError, match="as many coordinates"):
        waves.listed((2,), (0,), [1], [1])
