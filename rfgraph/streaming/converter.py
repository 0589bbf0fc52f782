"""A model rewritten for a stream: chunks and states in, chunks and states out.

Every value on the way has a fixed delay. A node with windows gets the steps before a chunk that it
still needs from a state; where values meet, the earlier ones wait. What is before the first and
behind the last step is masked where a window may see it, so that padding is what it is offline.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper

from rfgraph.analysis import Analysis
from rfgraph.engine.trace import Step, sources
from rfgraph.errors import ShapeError
from rfgraph.model.graph import Node
from rfgraph.ops import Operation, Windows, lookup_rule, traits_of
from rfgraph.ops.registry import by_output
from rfgraph.prune.passing import Moves
from rfgraph.reads.words import PerAxis, Table, same
from rfgraph.streaming.geometry import Reading, readings, refusal
from rfgraph.streaming.lengths import Length
from rfgraph.streaming.way import Moving, StreamingError, resized
from rfgraph.streaming.writer import END, Flow, Late, OpenShapes, Writer

# Attributes that say what windows see beyond the ends, and how many there are.
_PADDING = ("pads", "auto_pad", "ceil_mode")


class Converter:
    """Writes the model with explicit states."""

    def __init__(
        self, found: Moving, outputs: Sequence[str], states: Sequence[tuple[str, str]]
    ) -> None:
        self.found, self.outputs, self.carried = found, outputs, dict(states)
        self.graph = found.at.analysis.flow.shapes.graph
        taken = {*found.at.analysis.tensors, *self.graph.values(), *self.graph.weights}
        self.writer = Writer(found, sorted(taken | {*found.at.analysis.inputs}), OpenShapes(found))
        self.flows: dict[str, Flow] = {}
        self.readings: dict[str, list[Reading]] = {}
        self.sizes = self._sizes()
        # The values that are running totals.
        self.totals: set[str] = set()
        # By value: the last step that something needs, at each of the sizes.
        self.needed: dict[str, list[int]] = {}

    def convert(self) -> None:
        """Write all nodes that the outputs need."""
        for name, axis in self.found.at.axes:
            steps = self.found.hop
            self.flows[name] = Flow(name, 0, axis, steps, Length(), 0, Length())
        for step in self.found.at.analysis.flow.steps:
            for value in step.node.outputs:
                if value in self.found.at.fields:
                    self.readings[value] = self._read(step, value)
        self._need()
        for node in self.graph.nodes:
            made = [value for value in node.outputs if value in self.found.at.fields]
            if made:
                self._write(node, made)
            else:
                self._copy(node)
        for output in self.outputs:
            flow = self.settled(output)
            if flow.name != output:
                self.writer.rename(flow.name, output)
            self.flows[output] = replace(flow, name=output)

    # ------------------------------------------------------------ what is needed

    def _sizes(self) -> list[tuple[int, Analysis]]:
        """The model at sizes that are no multiples of the hop too, if it takes these."""
        at, hop = self.found.at, self.found.hop
        sizes = [(at.size, at.analysis), (self.found.longer.size, self.found.longer.analysis)]
        for by in sorted({1, hop // 2, hop - 1} - {0, hop}):
            with suppress(ShapeError):
                sizes.append((at.size + by, resized(at, by)))
        return sizes

    def _steps(self, value: str) -> list[int]:
        """How many steps a value has at each of the sizes."""
        axis = self.found.axis(value)
        assert axis is not None
        return [(analysis.extent(value) or ())[axis] for _, analysis in self.sizes]

    def _read(self, step: Step, value: str) -> list[Reading]:
        node = step.node
        traits = traits_of(node.domain, node.op_type)
        if traits.carried or (traits.is_running and self._is_total(step, value)):
            return [Reading(node.inputs[0], 0, same(self.found.axis(value) or 0))]
        return readings(self.found, step, value)

    def _is_total(self, step: Step, value: str) -> bool:
        """Whether a node makes running totals along time, all other axes being as they are."""
        axis = self.found.axis(value)
        ((read,),) = step.reads
        if axis is None or not isinstance(read, PerAxis) or read.source != 0:
            return False
        along = read.axes[axis]
        if isinstance(along, Table) and along.axes == (axis,) and along.open < 0:
            self.totals.add(value)
        return value in self.totals

    def _need(self) -> None:
        """Which steps of each value something needs: others may differ from those offline."""
        for output in self.outputs:
            self.needed[output] = [n - 1 for n in self._steps(output)]
        for step in reversed(self.found.at.analysis.flow.steps):
            for value in step.node.outputs:
                if value not in self.needed or value not in self.readings:
                    continue
                for reading in self.readings[value]:
                    last = [reading.last(k) for k in self.needed[value]]
                    steps = self._steps(reading.source)
                    before = self.needed.get(reading.source, [-1] * len(steps))
                    self.needed[reading.source] = [
                        max(known, min(k, n - 1))
                        for known, k, n in zip(before, last, steps, strict=True)
                    ]

    def _reads_behind(self, value: str, reading: Reading, flow: Flow) -> bool:
        """Whether a value needs something behind the last step of data."""
        ends = [flow.begin + flow.data.of(size) for size, _ in self.sizes]
        needed = self.needed.get(value, [-1] * len(ends))
        return any(reading.last(k) >= n for k, n in zip(needed, ends, strict=True) if k >= 0)

    # ------------------------------------------------------------ nodes

    def _copy(self, node: Node, renamed: dict[str, str] | None = None) -> None:
        """A node as it is; what it reads of the way has as many steps as a chunk."""
        if node.body is not None or not self.flows.keys().isdisjoint(node.captures):
            raise StreamingError(
                "it can't be converted: it is a loop, or has branches that read the stream",
                file=self.graph.file,
                node=str(node),
            )
        made = node.kind.proto_of(node)
        for k, name in enumerate(node.inputs):
            flow = self.flows.get(name)
            if renamed and name in renamed:
                made.input[k] = renamed[name]
            elif flow is not None:
                made.input[k] = flow.name
        self.writer.nodes.append(made)

    def _write(self, node: Node, made: list[str]) -> None:
        """A node on the way."""
        traits = traits_of(node.domain, node.op_type)
        value, found = made[0], self.readings[made[0]]
        sources = {reading.source: reading for reading in found}
        if traits.carried:
            self._recurrent(node, value)
        elif value in self.totals:
            self._total(node, value)
        elif all(self._is_pointwise(v, r) for v in made for r in self.readings[v]):
            self._pointwise(node, made, traits.facts)
        elif len(sources) > 1 or len(made) > 1 or len(found) > 1:
            raise refusal(self.found, value, "it has windows over several values")
        elif traits.windows is not None and found[0].number == 0:
            if traits.windows.transposed:
                self._transposed(node, value, found[0])
            else:
                self._window(node, value, found[0], traits.windows)
        elif found[0].shifts_alone and isinstance(traits.facts, Moves):
            self._shift(node, value, found[0], traits.facts)
        elif found[0].is_within_blocks:
            self._blocks(node, value, found[0])
        else:
            raise refusal(self.found, value, "it has windows along time")

    def _is_pointwise(self, value: str, reading: Reading) -> bool:
        """Whether each step reads the same step, and no step is left out at the end."""
        return reading.is_pointwise and self._steps(value) == self._steps(reading.source)

    def _flow(self, value: str, name: str, delay: int, length: Length) -> Flow:
        """The flow of a value that is all data, of a length that is held against the analysis."""
        axis = self.found.axis(value)
        assert axis is not None
        for (size, _), steps in zip(self.sizes, self._steps(value), strict=True):
            if length.of(size) != steps:
                raise refusal(
                    self.found,
                    value,
                    f"how many steps it has follows in no even way: {steps} of {size} samples, and "
                    f"not {length.of(size)}",
                    "export it with padding that does not depend on the size (no SAME, no "
                    "ceil_mode)",
                )
        return Flow(name, delay, axis, self.found.steps(value), length, 0, length)

    def settled(self, value: str, delay: int = 0) -> Flow:
        """A value with its padding, if it has any, and at least so many steps late."""
        flow = self.flows[value]
        delay = max(delay, 0)
        if flow.fill is None:
            return self.writer.delayed(value, flow, delay)
        before = flow.begin + flow.delay > 0
        behind = any(
            k >= flow.begin + flow.data.of(size)
            for k, (size, _) in zip(self.needed.get(value, []), self.sizes, strict=False)
        )
        if before or behind:
            fill = flow.fill
            flow = self._known(value, flow) if behind else flow
            flow = self.writer.masked(value, flow, fill, before=before, behind=behind)
            flow = replace(flow, fill=fill)
        flow = self.writer.delayed(value, flow, delay)
        return replace(flow, begin=0, data=flow.length, fill=None)

    def _known(self, value: str, flow: Flow) -> Flow:
        """A value so late that none of its steps is computed before it is known to be there."""
        hop = self.found.hop
        many = hop * (self.found.at.size // hop + 1)
        there = many // hop * flow.steps
        return self.writer.delayed(value, flow, there - flow.begin - flow.data.of(many))

    def _pointwise(self, node: Node, made: list[str], facts: Any) -> None:
        """Step by step: all that it reads, equally late."""
        read = list(dict.fromkeys(r.source for value in made for r in self.readings[value]))
        flow = self.flows[read[0]]
        moves = isinstance(facts, Moves) and facts.fill is None and not facts.every
        if len(read) == 1 and (flow.fill is None or moves):
            # Padding is moved as the rest is, and nothing else comes in.
            self._copy(node)
        else:
            delay = max(self.flows[source].delay for source in read)
            settled = {source: self.settled(source, delay) for source in read}
            delay = max(each.delay for each in settled.values())
            settled = {s: self.writer.delayed(s, f, delay) for s, f in settled.items()}
            self._copy(node, {source: each.name for source, each in settled.items()})
            flow = next(iter(settled.values()))
        for value in made:
            plain = self._flow(value, value, flow.delay, flow.length)
            self.flows[value] = replace(plain, begin=flow.begin, data=flow.data, fill=flow.fill)

    def _shift(self, node: Node, value: str, reading: Reading, facts: Moves) -> None:
        """Steps that are cut off, or put around: only what counts as data changes."""
        by, stride = -reading.steps.starts[0], reading.steps.advance
        source = self.flows[reading.source]
        if stride != 1:
            self._window(node, value, reading, None)
            return
        more = {n - m for n, m in zip(self._steps(value), self._steps(reading.source), strict=True)}
        if len(more) > 1:
            raise refusal(self.found, value, "how much it cuts or pads depends on the size")
        length = source.length.then(plus=more.pop())
        begin, first = source.begin + by, max(source.begin + by, 0)
        data = source.data.then(plus=begin - first)
        ends = [(first + data.of(size), length.of(size)) for size, _ in self.sizes]
        if all(end >= steps for end, steps in ends):
            data = length.then(plus=-first)
        is_padded = first > 0 or any(end < steps for end, steps in ends)
        fill = self._fill(node, value, facts) if is_padded else None
        if is_padded and source.fill is not None and source.fill != fill:
            self.flows[reading.source] = self.settled(reading.source)
            self._shift(node, value, reading, facts)
            return
        flow = self._flow(value, source.name, source.delay - by, length)
        self.flows[value] = replace(flow, begin=first, data=data, fill=fill) if is_padded else flow

    def _fill(self, node: Node, value: str, facts: Moves) -> float:
        """What stands where a node that moves elements reads none of the way."""
        shapes = self.found.at.analysis.flow.shapes

        def told(k: int) -> Any:
            constant = shapes.static(node.inputs[k])
            same = constant is not None and constant.size and (constant == constant.flat[0]).all()
            return constant.flat[0] if same and constant is not None else None

        number = facts.fill(node, self.writer.dtype(value), told) if facts.fill else None
        if facts.every:
            others = {
                told(k) for k, name in enumerate(node.inputs) if name not in self.found.at.fields
            }
            number = others.pop() if len(others) == 1 else None
        if number is None:
            raise refusal(self.found, value, "what it pads with is no single number")
        return float(number)

    def _windowed(self, value: str, reading: Reading, padding: float | None) -> tuple[Flow, float]:
        """What windows read, with padding where they may see it, and what is before the begin."""
        flow, dtype = self.flows[reading.source], self.writer.dtype(reading.source)
        if padding is not None and dtype.kind in "iu":
            padding = max(padding, float(np.iinfo(dtype).min))
        low = reading.first() < 0
        behind = self._reads_behind(value, reading, flow)
        high = behind and self._reads_behind(
            value, reading, replace(flow, begin=0, data=flow.length)
        )
        if (low or high) and padding is None:
            raise refusal(self.found, value, "what it pads with is no single number")
        number = flow.fill if flow.fill is not None else 0.0
        if (low or high) and padding is not None:
            if flow.fill is not None and flow.fill != padding:
                flow = self.settled(reading.source)
            number = padding
        before = flow.begin + flow.delay > 0 and (low or flow.fill is not None)
        is_input = flow.name in dict(self.found.at.axes) and number == 0.0
        if behind and not (is_input and not before):
            flow = self._known(reading.source, flow)
            before = flow.begin + flow.delay > 0 and (low or flow.fill is not None)
            flow = self.writer.masked(reading.source, flow, number, before=before)
        elif before:
            flow = self.writer.masked(reading.source, flow, number, behind=False)
        return flow, number

    def _window(self, node: Node, value: str, reading: Reading, windows: Windows | None) -> None:
        """Windows that slide: the steps before a chunk that they need are kept."""
        kernel, stride = reading.steps.counts[0], reading.steps.advance
        if len(reading.steps.starts) != 1:
            raise refusal(self.found, value, "its windows are no even ones")
        pad = -reading.steps.starts[0]
        reach = (kernel - 1) * reading.steps.step + 1
        operation = self._operation(node)
        padding = windows.padding(operation) if windows is not None else None
        is_mean = windows is not None and windows.is_mean(operation)
        if is_mean:
            # Steps of a Pad before it count.
            self.flows[reading.source] = self.settled(reading.source)
        length = self.flows[reading.source].length
        end = self._end_padding(node, value, pad, reach, stride) if windows is not None else None
        flow, number = self._windowed(value, reading, padding)
        delay = max(0, -((stride - flow.delay + pad - reach) // stride))
        past = delay * stride + pad - flow.delay
        name = flow.name
        if past > 0:
            name = self.writer.with_past(reading.source, flow, past, number)
        elif past < 0:
            name = self.writer.slice(name, flow.axis, -past, END)
        over = past - (reach - stride)
        over = over if over >= stride else 0
        if over:
            name = self.writer.slice(name, flow.axis, 0, -over)
        if end is None:
            name = self.writer.slice(name, flow.axis, 0, END, stride)
            self.writer.rename(name, value)
            length = length.then(plus=pad + stride - 1, by=stride)
        else:
            length = length.then(plus=pad + end - reach + stride, by=stride)
            self._without_padding(node, flow.axis, {reading.source: name})
            if is_mean:
                self._by_share(node, value, reading, replace(flow, name=name), past, over)
        self.flows[value] = self._flow(value, value, delay, length)

    def _by_share(
        self, node: Node, value: str, reading: Reading, flow: Flow, past: int, over: int
    ) -> None:
        """A mean of data, of the mean of data and padding that was written last: by the share of
        data, which is the mean of ones and zeros.
        """
        behind = self._reads_behind(value, reading, flow)
        if reading.first() >= 0 and not behind:
            return
        writer, source = self.writer, reading.source
        mean = writer.nodes[-1].output[0] = writer.fresh(f"{value}_with_padding")
        numbers = writer.numbers(flow, len(writer.shape(source)), past, over)
        there = writer.there(flow, numbers, before=True, behind=behind)
        self._without_padding(node, flow.axis, {source: writer.ones(source, flow, there)})
        share = writer.nodes[-1].output[0] = writer.fresh(f"{value}_share")
        writer.divided(mean, share, self.writer.dtype(value), value)

    def _end_padding(self, node: Node, value: str, pad: int, reach: int, stride: int) -> int:
        """How many steps of padding a node has at the end of the time axis."""
        axis = self.found.axis(node.inputs[0])
        assert axis is not None
        rank = len(self.found.at.analysis.extent(node.inputs[0]) or ()) - 2
        auto = node.attribute("auto_pad", "NOTSET")
        if auto.startswith("SAME"):
            if rank > 1 or stride > 1:
                why = "its padding depends on the size of the input"
                raise refusal(self.found, value, why, "export it with explicit pads")
            return reach - 1 - pad
        if auto == "VALID":
            return 0
        return int((node.attribute("pads") or [0] * (2 * rank))[axis - 2 + rank])

    def _without_padding(
        self, node: Node, axis: int, renamed: dict[str, str], **given: list[int]
    ) -> None:
        """A node with windows, without padding along time."""
        self._copy(node, renamed)
        made = self.writer.nodes[-1]
        rank = len(self.found.at.analysis.extent(node.inputs[0]) or ()) - 2
        pads = list(node.attribute("pads") or [0] * (2 * rank))
        pads[axis - 2] = pads[axis - 2 + rank] = 0
        kept = [a for a in made.attribute if a.name not in {*_PADDING, *given}]
        del made.attribute[:]
        made.attribute.extend([*kept, helper.make_attribute("pads", pads)])
        made.attribute.extend(helper.make_attribute(k, v) for k, v in given.items())

    def _operation(self, node: Node) -> Operation:
        return Operation(node, sources(node), self.found.at.analysis.flow.shapes, set())

    def _transposed(self, node: Node, value: str, reading: Reading) -> None:
        """Windows of outputs: those of the steps before a chunk reach into it."""
        axis = self.found.axis(reading.source)
        assert axis is not None
        at = axis - 2
        shape = self.found.at.analysis.extent(node.inputs[1]) or ()
        rank = len(shape) - 2
        stride = (node.attribute("strides") or [1] * rank)[at]
        dilation = (node.attribute("dilations") or [1] * rank)[at]
        reach = (shape[axis] - 1) * dilation + 1
        pads = node.attribute("pads") or [0] * (2 * rank)
        extra = list(node.attribute("output_padding") or [0] * rank)
        auto = node.attribute("auto_pad", "NOTSET")
        if auto.startswith("SAME") or node.attribute("output_shape"):
            why = "its padding depends on the size of the input"
            raise refusal(self.found, value, why, "export it with explicit pads")
        if auto == "VALID":
            pads = [0] * (2 * rank)
        pad, end = pads[at], pads[at + rank]
        flow, number = self._windowed(value, reading, 0.0)
        length = flow.length.then(times=stride, plus=reach - stride + extra[at] - pad - end)
        flow = self.writer.delayed(reading.source, flow, max(flow.delay, -(pad // stride)))
        past = (reach - 1) // stride
        name = flow.name
        if past:
            name = self.writer.with_past(reading.source, flow, past, number)
        extra[at] = max(stride - reach, 0)
        whole = self.writer.fresh(f"{value}_whole")
        self._without_padding(node, flow.axis, {reading.source: name}, output_padding=extra)
        self.writer.nodes[-1].output[0] = whole
        axis = self.found.axis(value)
        assert axis is not None
        # So many outputs are those of the steps before, and what is behind the chunk is not whole.
        first = self.writer.slice(whole, axis, past * stride, END)
        behind = max(reach - stride, 0)
        if behind:
            first = self.writer.slice(first, axis, 0, -behind)
        self.writer.rename(first, value)
        self.flows[value] = self._flow(value, value, stride * flow.delay + pad, length)

    def _blocks(self, node: Node, value: str, reading: Reading) -> None:
        """Blocks side by side: a chunk has whole ones."""
        size, period = reading.steps.advance, len(reading.steps.starts)
        flow = self.settled(reading.source)
        late = -(-flow.delay // size) * size
        flow = self.writer.delayed(reading.source, flow, late)
        self._copy(node, {reading.source: flow.name})
        length = flow.length.then(times=period, by=size)
        self.flows[value] = self._flow(value, value, late // size * period, length)

    def _total(self, node: Node, value: str) -> None:
        """Running totals go on from the last one, which counts as one more step before a chunk."""
        source = node.inputs[0]
        flow = self.settled(source)
        if flow.delay > 0:
            flow = self.writer.masked(source, flow, 0.0, behind=False)
        kept = self.writer.state(value, source, flow.axis, 1, 0.0)
        self._copy(node, {source: self.writer.joined(kept, flow)})
        made = self.writer.nodes[-1]
        totals = made.output[0] = self.writer.fresh(f"{value}_totals")
        # What a step leaves out is that of the step before.
        given = [a for a in made.attribute if a.name != "exclusive"]
        del made.attribute[:]
        made.attribute.extend(given)
        self.writer.carry(kept, self.writer.slice(totals, flow.axis, -1, END))
        begin, end = (0, -1) if node.attribute("exclusive", 0) else (1, END)
        self.writer.rename(self.writer.slice(totals, flow.axis, begin, end), value)
        self.flows[value] = self._flow(value, value, flow.delay, flow.length)

    def _recurrent(self, node: Node, value: str) -> None:
        """A layer whose state goes on from chunk to chunk."""
        if len(node.inputs) > 4 and node.inputs[4]:
            raise refusal(self.found, value, "its sequences have lengths of their own")
        flow = self.settled(node.inputs[0])
        late = Late(self.writer, flow) if flow.delay > 0 else None
        made = node.kind.proto_of(node)
        made.input[0] = late.sliced if late else flow.name
        made.output[0] = self.writer.fresh(f"{value}_late") if late else value
        self.writer.nodes.append(made)
        for given, last in traits_of(node.domain, node.op_type).carried:
            made.input.extend([""] * (given + 1 - len(made.input)))
            made.output.extend([""] * (last + 1 - len(made.output)))
            first, kept = made.input[given], ""
            if not self._is_given(first):
                kept = first = self._state_of(node, value, first, last)
                made.input[given] = first
            behind = made.output[last] or self.writer.fresh(f"{value}_last")
            made.output[last] = behind
            if late:
                made.output[last] = self.writer.fresh(f"{value}_of_late")
                late.kept(first, made.output[last], behind)
            if kept:
                self.writer.carry(kept, behind)
        if late:
            axis = self.found.axis(value)
            assert axis is not None
            rank = len(self.found.at.analysis.extent(value) or ())
            late.restored(made.output[0], value, axis, rank)
        self.flows[value] = self._flow(value, value, flow.delay, flow.length)

    def _is_given(self, first: str) -> bool:
        """Whether a state is one that the model takes as an input."""
        if not first:
            return False
        return not self.carried.keys().isdisjoint({first, *self.found.at.analysis.ancestors(first)})

    def _state_of(self, node: Node, value: str, first: str, last: int) -> str:
        """The state of a layer that the model did not take as an input."""
        number = 0.0
        if first:
            constant = self.found.at.analysis.flow.shapes.static(first)
            if constant is None or not (constant == constant.flat[0]).all():
                why = "the state before its first step is no single number"
                remedy = (
                    "take it as an input, and give what it is behind the last step as an output"
                )
                raise refusal(self.found, value, why, remedy)
            number = float(constant.flat[0])
        rule = lookup_rule(node.domain, node.op_type, node.version)
        assert rule is not None
        assert rule.shape is not None
        of_outputs = rule.shape

        def shape(analysis: Analysis) -> tuple[int, ...]:
            operation = Operation(node, sources(node), analysis.flow.shapes, set())
            return by_output(of_outputs(operation), last + 1)[last]  # type: ignore[return-value]

        open_shape = self.writer.open.by(shape)
        return self.writer.given_state(value, open_shape, number, self.writer.dtype(value))


__all__ = ["Converter"]
