"""The core against a few lines of numpy: random programs, and what is special."""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfgraph._core import NOTHING, Program

EVERYWHERE = (0, 1 << 60)


class Word(NamedTuple):
    """A progression along an axis of length `size`, see `rfgraph.reads.Along`."""

    starts: list[int]
    counts: list[int]
    advance: int
    step: int
    part: tuple[int, int]
    outputs: int
    size: int

    def added_to(self, program: Program) -> int:
        arrays = np.array(self.starts, np.int64), np.array(self.counts, np.int64)
        return program.word(*arrays, self.advance, self.step, *self.part, self.outputs, self.size)

    def least(self, array: np.ndarray, above: int, below: int) -> np.ndarray:
        """What the core is to give, coordinate by coordinate."""
        array = array.reshape(above, self.size, below)
        out = np.full((above, self.outputs, below), NOTHING)
        for o in range(max(0, self.part[0]), min(self.outputs, self.part[1])):
            period, phase = divmod(o, len(self.starts))
            first = self.starts[phase] + period * self.advance
            read = [first + k * self.step for k in range(self.counts[phase])]
            read = [i for i in read if 0 <= i < self.size]
            if read:
                out[:, o] = array[:, read].min(axis=1)
        return out.reshape(-1)


def written(program: Program, slot: int) -> np.ndarray:
    array = np.empty((2, program.size(slot)), np.int64)
    program.write_out(slot, array)
    return array


def random_word(rng: random.Random, size: int) -> Word:
    period = rng.choice([1, 1, 1, 2, 3, 5])
    advance = rng.choice([-2, -1, 0, 1, 1, 1, 2, 3, 7])
    origin = size if advance < 0 else 0
    starts = [
        rng.randint(-5, size + 3) if rng.random() < 0.3 else rng.randint(-4, 4) + origin
        for _ in range(period)
    ]
    counts = [rng.choice([0, 1, 1, 2, 3, 3, 5, 9, 80]) for _ in range(period)]
    if rng.random() < 0.5:
        starts, counts = sorted(starts), [counts[0]] * period
    outputs = rng.choice([1, 2, size, size, size // 2 + 1, 2 * size, rng.randint(1, 40)])
    begin = rng.randint(0, outputs)
    part = EVERYWHERE if rng.random() < 0.8 else (begin, rng.randint(begin, outputs))
    return Word(starts, counts, advance, rng.choice([1, 1, 2, 3]), part, outputs, size)


def divided(rng: random.Random, length: int) -> tuple[int, int, int]:
    """Three sizes whose product is `length`."""
    above = rng.choice([d for d in range(1, length + 1) if length % d == 0])
    rest = length // above
    below = rng.choice([d for d in range(1, rest + 1) if rest % d == 0])
    return above, rest // below, below


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(0, 10**9), size=st.sampled_from([1, 2, 3, 5, 8, 17, 40, 60, 200]))
def test_random_programs(seed: int, size: int) -> None:
    rng = random.Random(seed)
    program = Program()
    own = np.arange(size)
    made = [(program.seed(size), np.stack([own, -own]))]
    for _ in range(8):
        slot, array = rng.choice(made)
        length = array.shape[1]
        kind = rng.random()
        above, middle, below = divided(rng, length) if rng.random() < 0.5 else (1, length, 1)
        if kind < 0.55:
            word = random_word(rng, middle)
            if above * word.outputs * below > 3000:
                continue
            slot = program.window(slot, word.added_to(program), above, below)
            array = np.stack([word.least(ends, above, below) for ends in array])
        elif kind < 0.65:
            slot = program.fold(slot, above, middle, below)
            array = array.reshape(2, above, middle, below).min(axis=2).reshape(2, -1)
        else:
            other, second = rng.choice([one for one in made if one[1].shape[1] == length])
            if kind < 0.9:
                slot, array = program.least(slot, other), np.minimum(array, second)
            else:
                slot = program.where(slot, other)
                array = np.where(second >= NOTHING, NOTHING, array)
        assert np.array_equal(written(program, slot), array), program.instruction(slot)
        assert program.everywhere(slot) == bool((array[0] < NOTHING).all())
        assert program.somewhere(slot) == bool((array[0] < NOTHING).any())
        place = rng.randrange(array.shape[1])
        assert program.at(slot, place) == tuple(array[:, place].tolist())
        made.append((slot, array))


def conv(size: int, *, kernel: int = 3, stride: int = 1, dilation: int = 1) -> Word:
    pad = dilation * (kernel - 1) // 2
    return Word([-pad], [kernel], stride, dilation, EVERYWHERE, size // stride, size)


def test_an_interval_does_not_grow_with_its_axis() -> None:
    """Two hundred convolutions, strides and dilations on an axis of 2^40: a few segments."""
    size = 1 << 40
    program = Program()
    slot = program.seed(size)
    reach, stride = 0, 1
    for k in range(200):
        word = conv(size // stride, stride=2 if k % 20 == 19 else 1, dilation=1 + k % 3)
        slot = program.window(slot, word.added_to(program))
        reach += stride * (1 + k % 3)
        stride *= word.advance
    assert len(program.segments_of(slot, 0)) <= 3
    assert len(program.segments_of(slot, 1)) <= 3
    middle = size // stride // 2
    assert program.at(slot, middle) == (middle * stride - reach, -(middle * stride + reach))
    assert program.at(slot, 0) == (0, -reach)


def test_upsampling_has_a_period() -> None:
    size = 1 << 30
    program = Program()
    doubled = Word([0, 0], [1, 1], 1, 1, EVERYWHERE, 2 * size, size)
    slot = program.window(program.seed(size), doubled.added_to(program))
    slot = program.window(slot, conv(2 * size).added_to(program))
    for place in (0, 1, 2, 7, 10**9, 2 * size - 1):
        lowest, highest = max(place - 1, 0) // 2, min(place + 1, 2 * size - 1) // 2
        assert program.at(slot, place) == (lowest, -highest)
    assert len(program.segments_of(slot, 0)) <= 4


def test_equal_functions_are_one_slot() -> None:
    program = Program()
    size = 9
    slot = program.seed(size)
    slots = []
    for _ in range(12):
        slot = program.window(slot, conv(size).added_to(program))
        slots.append(slot)
    # From the eighth on each place sees all of the axis.
    assert len(set(slots[7:])) == 1
    assert len(set(slots)) == 8
    assert program.least(slots[0], slots[3]) == slots[3]


def test_empty_and_single_axes() -> None:
    program = Program()
    nothing = program.seed(0)
    assert written(program, nothing).shape == (2, 0)
    assert not program.somewhere(nothing)
    one = program.seed(1)
    assert written(program, one).tolist() == [[0], [0]]
    padded = program.window(one, Word([-1], [1], 1, 1, EVERYWHERE, 3, 1).added_to(program))
    assert written(program, padded)[0].tolist() == [NOTHING, 0, NOTHING]
    assert program.somewhere(padded)
    assert not program.everywhere(padded)
    # An output of no coordinates needs no phase.
    none = program.window(program.seed(5), Word([], [], 1, 1, EVERYWHERE, 0, 5).added_to(program))
    assert written(program, none).shape == (2, 0)


def test_what_does_not_fit_is_refused() -> None:
    program = Program()
    slot = program.seed(8)
    word = conv(9).added_to(program)
    with pytest.raises(ValueError, match="lengths don't fit"):
        program.window(slot, word)
    with pytest.raises(ValueError, match="lengths don't fit"):
        program.least(slot, program.seed(9))
    with pytest.raises(IndexError):
        program.window(slot + 9, word)
    with pytest.raises(IndexError):
        program.window(slot, word + 1)
    with pytest.raises(IndexError):
        program.at(slot, 8)
    with pytest.raises(ValueError, match="another shape"):
        program.write_out(slot, np.empty((2, 9), np.int64))


@pytest.mark.parametrize(
    "word",
    [
        Word([-(1 << 61)], [1], 1, 1, EVERYWHERE, 4, 4),
        Word([0], [1 << 40], 1, 1 << 40, EVERYWHERE, 4, 4),
        Word([0], [1], 1 << 40, 1, EVERYWHERE, 1 << 40, 4),
        Word([0], [1], -(1 << 60), 1, EVERYWHERE, 9, 4),
    ],
)
def test_whole_numbers_don_t_overflow(word: Word) -> None:
    with pytest.raises(OverflowError, match="range of whole numbers"):
        word.added_to(Program())


def test_too_many_elements_at_once_are_refused() -> None:
    """What neither rises nor falls is written out, and not without end."""
    size = 1 << 30
    program = Program()
    folded = Word(list(range(7)), [1] * 7, 0, 1, EVERYWHERE, size, 7)
    slot = program.window(program.seed(7), folded.added_to(program))
    with pytest.raises(MemoryError, match="too many to tell apart"):
        program.window(slot, conv(size).added_to(program))
