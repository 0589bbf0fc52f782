"""The valid models that others are made from."""

from __future__ import annotations

from functools import cache
from itertools import islice

import onnx
from onnx import parser

from tests.oracle.cases import CASES

# Of each builder so many cases.
_MOST = 2

# What the cases of single operators don't have.
_TEXTS = {
    "branches": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 2, 8, 8] x, bool c) => (float[1, 2, 8, 8] y) {
            a = Relu (x)
            y = If (c) <
                then_branch = t () => (float[1, 2, 8, 8] p) { p = Add (a, x) },
                else_branch = e () => (float[1, 2, 8, 8] q) {
                    k = Constant <value = bool {1}> ()
                    q = If (k) <
                        then_branch = t2 () => (float[1, 2, 8, 8] r) { r = Neg (a) },
                        else_branch = e2 () => (float[1, 2, 8, 8] s) { s = Abs (x) }
                    >
                }
            >
        }
    """,
    "loop": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[4, 6] x) => (float[4, 6] y, float[3, 4, 6] z) {
            n = Constant <value = int64 {3}> ()
            c = Constant <value = bool {1}> ()
            y, z = Loop (n, c, x) <
                body = b (int64 i, bool k, float[4, 6] v)
                    => (bool kk, float[4, 6] w, float[4, 6] s) {
                    kk = Identity (k)
                    w = Sin (v)
                    s = Add (w, x)
                }
            >
        }
    """,
    "loop without end": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[4, 6] x, int64 n) => (float[4, 6] y) {
            c = Constant <value = bool {1}> ()
            y = Loop (n, c, x) <
                body = b (int64 i, bool k, float[4, 6] v) => (bool kk, float[4, 6] w) {
                    kk = Identity (k)
                    w = Softmax (v)
                }
            >
        }
    """,
    "scan": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[3] s, float[5, 3] x) => (float[3] y, float[5, 3] z) {
            y, z = Scan <num_scan_inputs = 1, body = b (float[3] u, float[3] v)
                => (float[3] w, float[3] o) {
                    w = Add (u, v)
                    o = Neg (w)
                }
            > (s, x)
        }
    """,
    "functions": """
        <ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[1, 3, 9] x) => (float[1, 3, 9] y) {
            a = own.twice <by = 2.0> (x)
            y = own.twice <by = 3.0> (a)
        }
        <domain: "own", opset_import: ["" : 17, "own" : 1]>
        twice <by> (v) => (w) {
            f = Constant <value_float: float = @by> ()
            t = Mul (v, f)
            w = own.inner (t)
        }
        <domain: "own", opset_import: ["" : 17]>
        inner (p) => (q) { q = LeakyRelu <alpha = 0.1> (p) }
    """,
    "sequences": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[6, 4] x) => (float[4] y, int64 n) {
            s = SplitToSequence <axis = 0> (x)
            one = Constant <value = int64 {1}> ()
            a = SequenceAt (s, one)
            r = SequenceInsert (s, a, one)
            c = ConcatFromSequence <axis = 0> (r)
            n = SequenceLength (r)
            y = ReduceSum <keepdims = 0> (c, one)
        }
    """,
    "shapes": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[2, 3, 8, 8] x) => (float[] y) {
            s = Shape (x)
            zero = Constant <value_ints = [0]> ()
            two = Constant <value_ints = [2]> ()
            four = Constant <value_ints = [4]> ()
            head = Slice (s, zero, two)
            tail = Slice (s, two, four)
            minus = Constant <value_ints = [-1]> ()
            p = ReduceProd (tail)
            t = Concat <axis = 0> (head, p)
            f = Reshape (x, t)
            b = Transpose <perm = [0, 2, 1]> (f)
            u = Shape (b)
            y = Expand (b, u)
        }
    """,
    "net": """
        <ir_version: 8, opset_import: ["" : 17]>
        g (float[1, 3, 16, 16] x) => (float[1, 4, 16, 16] y, float[1, 4] z)
        <float[4, 3, 3, 3] W, float[4, 4, 2, 2] U, float[4, 8, 1, 1] V> {
            a = Conv <pads = [1, 1, 1, 1]> (x, W)
            b = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
            c = ConvTranspose <strides = [2, 2]> (b, U)
            d = Concat <axis = 1> (c, a)
            e = Conv (d, V)
            y = Add (e, a)
            g1 = GlobalAveragePool (y)
            z = Flatten (g1)
        }
    """,
}


@cache
def seeds() -> list[onnx.ModelProto]:
    """The models, in an order that does not change."""
    made = []
    for key in sorted(CASES):
        for builder in CASES[key]:
            made += [case.model for case in islice(builder(), _MOST)]
    for text in _TEXTS.values():
        model = parser.parse_model(text)
        for tensor in model.graph.initializer:
            if not tensor.raw_data and not tensor.float_data:
                count = 1
                for n in tensor.dims:
                    count *= n
                tensor.float_data.extend([1.0] * count)
        made.append(model)
    return made
