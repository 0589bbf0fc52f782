"""What onnxruntime's unoptimised kernels do with a NaN, operator by operator.

`REPLACED` has what stands in for those that lose it or spread it, `CARRIES` the others, and `LOST`
those that nothing can stand in for. Established with the CPU kernels of onnxruntime 1.32; tests
hold each of them against the kernel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rfgraph.ops.microsoft.layout import CHANNELS_LAST
from rfgraph.validation.nan import (
    attention,
    control_flow,
    elementwise,
    indexing,
    layouts,
    quantised,
    recurrent,
    reductions,
    unusual,
    windows,
)
from rfgraph.validation.nan.emitter import Kernels, Replacement, lives
from rfgraph.validation.nan.quantised import Operand, as_operator, sum_of
from rfgraph.worker.protos import MICROSOFT, NCHWC, NHWC, Key

_LOSES = "a comparison with NaN is false, so a NaN only survives as the first element"
_NOT_FLOAT = "the output is no float, and can't hold a NaN"
_ZERO = "taps of weight zero are multiplied too, and 0 * NaN is NaN"
_UNDEFINED = "outside of its domain it is NaN without any poison"
_INDEX = "an index holds no NaN"
_BODY = "what it has inside is not rewritten"
_INTEGERS = "quantised values are integers"
_ACTIVATION = "its activation may lose it"
_LAYOUT = "other values hold the channels elsewhere"
_BLOCKED = "the value holds its channels in blocks, which no name of an axis tells"
_RECURRENT = "with a bias some sizes of it clip, and lose NaN; activations may"
_MASKED = "what is masked is multiplied by zero, and 0 * NaN is NaN"
_ITSELF = "itself without masks, on data of its own, compared"

# Each output element reads the input element at its position: Identity stands in. With the reason
# why the operator itself does not carry NaN.
_IDENTITY: Mapping[str, str] = {
    "ThresholdedRelu": "NaN is not above alpha: 0",
    "Shrink": "NaN is neither below nor above: 0",
    "IsNaN": _NOT_FLOAT,
    "IsInf": _NOT_FLOAT,
    "Not": _NOT_FLOAT,
    "BitwiseNot": _NOT_FLOAT,
    "Cast": "the type may be one that can't hold a NaN",
    "CastLike": "the type may be one that can't hold a NaN",
    "BitCast": _NOT_FLOAT,
    "Bernoulli": "it is by chance",
    "Log": _UNDEFINED,
    "Sqrt": _UNDEFINED,
}

# Each output element reads one element of every operand: Sum stands in. With the reason why.
_SUM: Mapping[str, str] = {
    "Greater": _NOT_FLOAT,
    "GreaterOrEqual": _NOT_FLOAT,
    "Less": _NOT_FLOAT,
    "LessOrEqual": _NOT_FLOAT,
    "Equal": _NOT_FLOAT,
    "And": _NOT_FLOAT,
    "Or": _NOT_FLOAT,
    "Xor": _NOT_FLOAT,
    "BitShift": _NOT_FLOAT,
    "BitwiseAnd": _NOT_FLOAT,
    "BitwiseOr": _NOT_FLOAT,
    "BitwiseXor": _NOT_FLOAT,
    "Mod": "of integers it holds no NaN",
    "Where": "only the branch that is taken passes",
    "Pow": "1 to the power of NaN is 1, and NaN to the power of 0",
    "PRelu": "the slope is not read where the value is positive",
}

# ------------------------------------------------ quantised values

_A, _B = Operand(0, (1, 2), -2), Operand(3, (4, 5), -1)
_Q_POOL = Operand(0, (1, 2))

_QUANTISED: Mapping[Key, Replacement] = {
    (domain, op): Replacement(_INTEGERS, instead, rewrite)
    for domains, op, instead, rewrite in (
        (("", MICROSOFT), "QuantizeLinear", "Identity", quantised.quantise),
        (("", MICROSOFT), "DequantizeLinear", "Identity", quantised.quantise),
        (
            ("",),
            "DynamicQuantizeLinear",
            "itself and ReduceMean of all",
            quantised.quantise_dynamically,
        ),
        (("",), "ConvInteger", "Conv", as_operator("Conv", Operand(0, (2,)), Operand(1, (3,), 0))),
        (("", MICROSOFT, NHWC), "QLinearConv", "Conv", quantised.conv),
        (
            ("",),
            "MatMulInteger",
            "MatMul",
            as_operator("MatMul", Operand(0, (2,), -2), Operand(1, (3,))),
        ),
        (("",), "QLinearMatMul", "MatMul", as_operator("MatMul", _A, _B, added=(6, 7), axis=-2)),
        ((MICROSOFT,), "MatMulInteger16", "MatMul", as_operator("MatMul", Operand(0), Operand(1))),
        (
            (MICROSOFT,),
            "MatMulIntegerToFloat",
            "MatMul",
            as_operator("MatMul", Operand(0, (2, 4), -2), Operand(1, (3, 5)), added=(6,)),
        ),
        (
            (MICROSOFT,),
            "DynamicQuantizeMatMul",
            "MatMul and ReduceMean of all of A",
            as_operator("MatMul", Operand(0), Operand(1, (2, 3)), added=(4,), everything=(0,)),
        ),
        ((MICROSOFT,), "QGemm", "Gemm", as_operator("Gemm", _A, _B, added=(6, 7, 8))),
        ((MICROSOFT,), "QLinearAdd", "Sum", sum_of(0, 3)),
        ((MICROSOFT,), "QLinearMul", "Sum", sum_of(0, 3)),
        ((MICROSOFT,), "QLinearWhere", "Sum", sum_of(0, 1, 4)),
        ((MICROSOFT,), "MulInteger", "Sum", sum_of(0, 2)),
        ((MICROSOFT,), "QLinearSigmoid", "Identity", sum_of(0)),
        ((MICROSOFT,), "QLinearLeakyRelu", "Identity", sum_of(0)),
        ((MICROSOFT,), "QLinearConcat", "Concat", quantised.concat),
        ((MICROSOFT,), "QLinearReduceMean", "ReduceMean", quantised.reduce_mean),
        ((MICROSOFT,), "QLinearSoftmax", "Identity and ReduceMean", quantised.softmax),
        (
            (MICROSOFT, NHWC),
            "QLinearAveragePool",
            "AveragePool",
            as_operator("AveragePool", _Q_POOL, added=(3, 4)),
        ),
        (
            (MICROSOFT,),
            "QLinearGlobalAveragePool",
            "GlobalAveragePool",
            as_operator("GlobalAveragePool", _Q_POOL, added=(3, 4)),
        ),
        ((MICROSOFT,), "DynamicQuantizeLSTM", "ReduceMean of all", recurrent.mean_of_all),
        ((MICROSOFT,), "MatMulNBits", "ReduceMean, expanded", quantised.packed_product),
        ((MICROSOFT,), "MatMulBnb4", "ReduceMean, expanded", quantised.packed_product),
    )
    for domain in domains
}

# ------------------------------------------------ fused operators, and other layouts

_FUSED: Mapping[Key, Replacement] = {
    (MICROSOFT, "FusedConv"): Replacement(_ACTIVATION, "Conv and Sum", layouts.fused_conv),
    (MICROSOFT, "FusedGemm"): Replacement(_ACTIVATION, "Gemm", layouts.fused_gemm),
    (MICROSOFT, "EmbedLayerNormalization"): Replacement(
        _INDEX, "the index, expanded", indexing.embed
    ),
    **{
        (MICROSOFT, name): Replacement(_LAYOUT, "Conv, transposed", layouts.transposed("Conv", 3))
        for name in ("NhwcConv", "NhwcFusedConv")
    },
    (MICROSOFT, "NhwcMaxPool"): Replacement(
        _LAYOUT, "MaxPool, transposed", layouts.transposed("MaxPool")
    ),
    (NCHWC, "Conv"): Replacement(_BLOCKED, "Conv and Sum", layouts.fused_conv),
    (NCHWC, "ReorderInput"): Replacement(_BLOCKED, "Identity or Transpose", layouts.reorder_input),
    (NCHWC, "ReorderOutput"): Replacement(_BLOCKED, "Slice", layouts.reorder_output),
    (NCHWC, "Upsample"): Replacement(_BLOCKED, "Resize", layouts.upsample),
    **{
        (NCHWC, name): Replacement(_BLOCKED, f"ONNX's {name}", layouts.plain)
        for name in ("AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool")
    },
    (NHWC, "Resize"): Replacement(_LAYOUT, "ONNX's Resize", layouts.plain),
    **{
        (NHWC, name): Replacement(_LAYOUT, f"ONNX's {name}, transposed", layouts.transposed(name))
        for name in CHANNELS_LAST.split()
    },
}

# ------------------------------------------------ recurrent layers and attention

_SEQUENCES: Mapping[Key, Replacement] = {
    **{
        ("", name): Replacement(_RECURRENT, "itself without bias", recurrent.recurrent)
        for name in ("GRU", "LSTM", "RNN")
    },
    ("", "Attention"): Replacement(
        _MASKED, _ITSELF, attention.attention, attention.is_cut_or_masked
    ),
    ("", "DFT"): Replacement(
        "of an inverse to reals it mixes more", "nothing", unusual.depart, unusual.is_to_reals
    ),
    **{
        (MICROSOFT, name): Replacement(_MASKED, _ITSELF, attention.compared_without_masks)
        for name in ("Attention", "GroupQueryAttention", "MultiHeadAttention", "QAttention")
    },
}

# ------------------------------------------------ all

REPLACED: Mapping[Key, Replacement] = {
    ("", "MaxPool"): Replacement(
        _LOSES, "AveragePool, or itself on the indicator", windows.max_pool
    ),
    ("", "GlobalMaxPool"): Replacement(_LOSES, "GlobalAveragePool", windows.global_max_pool),
    **{
        ("", name): Replacement(_LOSES, "ReduceMean", reductions.reduction)
        for name in ("ReduceMax", "ReduceMin")
    },
    ("", "ReduceLogSum"): Replacement(_UNDEFINED, "ReduceMean", reductions.reduction),
    **{
        ("", name): Replacement(_NOT_FLOAT, "ReduceMean", reductions.arg_reduction)
        for name in ("ArgMax", "ArgMin")
    },
    ("", "TopK"): Replacement(_LOSES, "ReduceMean, repeated", reductions.top_k),
    ("", "Hardmax"): Replacement("only zeros and ones are written", "Softmax", reductions.hardmax),
    ("", "LRN"): Replacement(
        "a running sum over the channels keeps NaN beyond the window",
        "itself on 1 and on 1 + 100 * the indicator, compared",
        windows.lrn,
    ),
    **{
        ("", name): Replacement(
            _ZERO, "itself on the indicator", windows.interpolation, windows.is_weighted
        )
        for name in ("GridSample", "Resize", "Upsample")
    },
    ("", "Gather"): Replacement(_INDEX, "the index, expanded", indexing.gather, lives(1)),
    ("", "GatherElements"): Replacement(
        _INDEX, "Identity of the index", indexing.gather_elements, lives(1)
    ),
    ("", "GatherND"): Replacement(
        _INDEX, "the index's mean, expanded", indexing.gather_nd, lives(1)
    ),
    ("", "OneHot"): Replacement(_INDEX, "the index, expanded", indexing.one_hot, lives(0)),
    ("", "Conv"): Replacement(
        "a weight that is NaN spreads over the padding",
        "itself on ones and the indicator",
        windows.conv,
        lives(1),
    ),
    ("", "Dropout"): Replacement("in training it is by chance", "Identity", elementwise.dropout),
    ("", "Reshape"): Replacement(
        _BLOCKED, "Reshape and Transpose", layouts.reshape_of_blocks, layouts.moves_blocks
    ),
    ("", "Split"): Replacement(
        "an output left out ends the process", "itself", unusual.split, unusual.leaves_one_out
    ),
    ("", "MaxUnpool"): Replacement(
        "it departs from the standard", "nothing", unusual.depart, unusual.has_given_shape
    ),
    **{
        ("", name): Replacement(_LOSES, "itself, adding", indexing.scatter, indexing.selects)
        for name in ("ScatterElements", "ScatterND")
    },
    (MICROSOFT, "SampleOp"): Replacement("there is no kernel", "Identity", elementwise.own),
    **{
        (MICROSOFT, name): Replacement("there is no kernel", "Sum", elementwise.summed)
        for name in ("BiasAdd", "ScaledSiLU")
    },
    ("", "If"): Replacement(
        "its branches may lose it", "itself, its branches rewritten", control_flow.branches
    ),
    **{("", name): Replacement(_BODY, "itself", control_flow.kept) for name in ("Loop", "Scan")},
    **{
        ("", name): Replacement(why, "Identity", elementwise.own) for name, why in _IDENTITY.items()
    },
    **{("", name): Replacement(why, "Sum", elementwise.summed) for name, why in _SUM.items()},
    ("", "Clip"): Replacement(
        "a limit that is NaN does not limit", "Sum", elementwise.summed, elementwise.has_live_limit
    ),
    **_QUANTISED,
    **_FUSED,
    **_SEQUENCES,
}

# Operators of ONNX that carry NaN as they are; below, those of onnxruntime.
_CARRY = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Ceil Celu
    CenterCropPad Clip Col2Im Compress Concat ConcatFromSequence Conv ConvTranspose Cos Cosh CumProd
    CumSum DFT DepthToSpace Det Div Einsum Elu Erf Exp Expand Flatten Floor Gather
    GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GridSample
    GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
    LeakyRelu LogSoftmax LpNormalization LpPool MatMul Max MaxUnpool Mean
    MeanVarianceNormalization Min Mish Mul Neg NegativeLogLikelihoodLoss OneHot Optional
    OptionalGetElement Pad RMSNormalization Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp
    ReduceMean ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence
    RotaryEmbedding Round STFT Scatter ScatterElements ScatterND Selu SequenceAt
    SequenceConstruct SequenceErase SequenceInsert SequenceLength Sigmoid Sign
    SimplifiedLayerNormalization Sin Sinh Slice Softmax SoftmaxCrossEntropyLoss Softplus
    Softsign SpaceToDepth Split SplitToSequence Squeeze Sub Sum Swish Tan Tanh TensorScatter
    Tile Transpose Trilu Unsqueeze Upsample
"""

_CARRY_FUSED = """
    BiasGelu CDist ExpandDims FastGelu FusedMatMul GatedAdd GatherND Gelu Inverse Pad QuickGelu
    RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization TransposeMatMul Trilu
    UnfoldTensor
"""

# Operators that carry a NaN to exactly the elements that read it.
CARRIES: frozenset[Key] = frozenset(("", name) for name in _CARRY.split()) | frozenset(
    (MICROSOFT, name) for name in _CARRY_FUSED.split()
)

# Inputs that say where to read, though their type, or a missing schema, does not show it.
STEERING: Mapping[Key, Collection[int]] = {
    ("", "CastLike"): (1,),
    ("", "GridSample"): (1,),
    ("", "OneHot"): (1,),
    (MICROSOFT, "ExpandDims"): (1,),
    (MICROSOFT, "GatherND"): (1,),
    (MICROSOFT, "Pad"): (1,),
    (MICROSOFT, "RotaryEmbedding"): (1,),
    (MICROSOFT, "Trilu"): (1,),
}

# Operators that nothing can stand in for, with the reason.
LOST: Mapping[Key, str] = {
    **{
        ("", name): "the size of its output depends on the data"
        for name in ("NonMaxSuppression", "NonZero", "Range", "Unique")
    },
    ("", "ConstantOfShape"): "the shape of its output depends on the data",
}

# Outputs that no data can change.
_FIXED = frozenset({(("", "Dropout"), 1), (("", "SequenceLength"), 0)})

KERNELS = Kernels(REPLACED, CARRIES, LOST, STEERING, _FIXED)
