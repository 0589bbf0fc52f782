"""Which family has the transfers of which operators: it is imported when one is looked up."""

from __future__ import annotations

from collections.abc import Mapping

# Operators whose output element reads the elements at its own position: see `elementwise`.
ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot
    BitwiseOr BitwiseXor Cast Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu
    Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual
    Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid
    Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Xor
"""

# By family, a module of this package, and domain.
FAMILIES: Mapping[str, Mapping[str, str]] = {
    "attention": {
        "": "Attention CausalConvWithState LinearAttention RotaryEmbedding",
    },
    "contrib_attention": {
        "com.microsoft": """
            Attention DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention GroupQueryAttention
            MultiHeadAttention PackedAttention PackedMultiHeadAttention QAttention RotaryEmbedding
        """,
    },
    "contrib_fused": {
        "com.microsoft": """
            BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu FastGelu FusedConv FusedGemm
            FusedMatMul FusedMatMulActivation Gelu GemmFastGelu GroupNorm Inverse MurmurHash3
            QuickGelu SampleOp ScaledSiLU SkipGroupNorm SkipLayerNormalization
            SkipSimplifiedLayerNormalization TransposeMatMul
        """,
    },
    "contrib_layout": {
        "com.microsoft": "NhwcConv NhwcFusedConv NhwcMaxPool",
        "com.microsoft.nchwc": """
            AveragePool Conv GlobalAveragePool GlobalMaxPool MaxPool ReorderInput ReorderOutput
            Upsample
        """,
        "com.ms.internal.nhwc": """
            AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool
            GlobalLpPool GlobalMaxPool GridSample InstanceNormalization LRN LpPool MaxPool Resize
            SpaceToDepth
        """,
    },
    "contrib_quantised": {
        "com.microsoft": """
            DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul MatMulBnb4 MatMulInteger16
            MatMulIntegerToFloat MatMulNBits MulInteger QGemm QLinearAdd QLinearAveragePool
            QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
            QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QuantizeLinear
        """,
        "com.ms.internal.nhwc": "QLinearAveragePool QLinearConv",
    },
    "contrib_various": {
        "com.microsoft": """
            ConvTransposeWithDynamicPads CropAndResize EmbedLayerNormalization ExpandDims GatherND
            GridSample Irfft Pad Range Rfft Trilu Unique
        """,
    },
    "control": {
        "": """
            ConcatFromSequence If Loop Optional OptionalGetElement OptionalHasElement Scan
            SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
            SequenceMap SplitToSequence
        """,
    },
    "convolution": {
        "": "Conv ConvTranspose",
    },
    "elementwise": {
        "": f"{ELEMENTWISE} CastLike Dropout Expand Where",
    },
    "indexing": {
        "": """
            CenterCropPad Compress Gather GatherElements GatherND OneHot Range ReverseSequence Trilu
        """,
    },
    "learned": {
        "ai.onnx.ml": """
            ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer
            Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder
            SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier
            TreeEnsembleRegressor ZipMap
        """,
    },
    "linear": {
        "": "Einsum Gemm MatMul",
    },
    "moving": {
        "": """
            Concat DepthToSpace Flatten Pad Reshape Slice SpaceToDepth Split Squeeze Tile Transpose
            Unsqueeze
        """,
    },
    "normalisation": {
        "": """
            BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization
            LpNormalization MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization
        """,
    },
    "pooling": {
        "": "AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool",
    },
    "quantised": {
        "": """
            ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv
            QLinearMatMul QuantizeLinear
        """,
    },
    "recurrent": {
        "": "GRU LSTM RNN",
    },
    "reduction": {
        "": """
            ArgMax ArgMin CumProd CumSum Hardmax LogSoftmax ReduceL1 ReduceL2 ReduceLogSum
            ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
            Softmax
        """,
    },
    "resizing": {
        "": "Resize Upsample",
    },
    "sampling": {
        "": "AffineGrid DeformConv GridSample MaxRoiPool RoiAlign",
    },
    "scatter": {
        "": "Col2Im MaxUnpool Scatter ScatterElements ScatterND TensorScatter",
    },
    "selection": {
        "": """
            Bernoulli Det ImageDecoder Multinomial NegativeLogLikelihoodLoss NonMaxSuppression
            NonZero SoftmaxCrossEntropyLoss TopK Unique
        """,
    },
    "signal": {
        "": "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
    },
    "static": {
        "": """
            Constant ConstantOfShape EyeLike RandomNormal RandomNormalLike RandomUniform
            RandomUniformLike Shape Size
        """,
    },
    "strings": {
        "": "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer",
    },
    "training": {
        "ai.onnx.preview.training": "Adagrad Adam Gradient Momentum",
    },
}
