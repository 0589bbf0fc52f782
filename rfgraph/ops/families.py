"""Which family has the transfers of which operators: it is imported when one is looked up.

Made by `python docs/operators.py` from what the families register; not written by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

# By family, a module of this package, and domain.
FAMILIES: Mapping[str, Mapping[str, str]] = {
    "microsoft.attention": {
        "com.microsoft": """
            Attention DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention MultiHeadAttention
            QAttention RotaryEmbedding
        """,
    },
    "microsoft.fused": {
        "com.microsoft": """
            BiasAdd BiasDropout BiasGelu BiasSoftmax BiasSplitGelu FastGelu FusedConv FusedGemm
            FusedMatMul FusedMatMulActivation GatedAdd Gelu GemmFastGelu GroupNorm Inverse
            MurmurHash3 QuickGelu SampleOp ScaledSiLU SkipGroupNorm SkipLayerNormalization
            SkipSimplifiedLayerNormalization TransposeMatMul
        """,
    },
    "microsoft.grouped": {
        "com.microsoft": """
            GroupQueryAttention
        """,
    },
    "microsoft.layout": {
        "com.microsoft": """
            NhwcConv NhwcFusedConv NhwcMaxPool
        """,
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
    "microsoft.packed": {
        "com.microsoft": """
            PackedAttention PackedMultiHeadAttention
        """,
    },
    "microsoft.quantised": {
        "com.microsoft": """
            DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul MatMulBnb4 MatMulInteger16
            MatMulIntegerToFloat MatMulNBits MulInteger QGemm QLinearAdd QLinearAveragePool
            QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul
            QLinearReduceMean QLinearSigmoid QLinearSoftmax QLinearWhere QuantizeLinear
        """,
        "com.ms.internal.nhwc": """
            QLinearAveragePool QLinearConv
        """,
    },
    "microsoft.various": {
        "com.microsoft": """
            CDist ConvTransposeWithDynamicPads CropAndResize EmbedLayerNormalization ExpandDims
            GatherND GridSample Irfft Pad Range Rfft Trilu UnfoldTensor Unique
        """,
    },
    "ml": {
        "ai.onnx.ml": """
            ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer
            Imputer LabelEncoder LinearClassifier LinearRegressor Normalizer OneHotEncoder
            SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier
            TreeEnsembleRegressor ZipMap
        """,
    },
    "onnx.attention": {
        "": """
            Attention CausalConvWithState LinearAttention RotaryEmbedding
        """,
    },
    "onnx.control": {
        "": """
            ConcatFromSequence If Loop Optional OptionalGetElement OptionalHasElement Scan
            SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
            SequenceMap SplitToSequence
        """,
    },
    "onnx.convolution": {
        "": """
            Conv ConvTranspose
        """,
    },
    "onnx.elementwise": {
        "": """
            Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot
            BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp
            Expand Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
            LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal
            Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish
            Tan Tanh ThresholdedRelu Where Xor
        """,
    },
    "onnx.indexing": {
        "": """
            CenterCropPad Compress Gather GatherElements GatherND OneHot Range ReverseSequence Trilu
        """,
    },
    "onnx.linear": {
        "": """
            Einsum Gemm MatMul
        """,
    },
    "onnx.moving": {
        "": """
            Concat DepthToSpace Flatten Pad Reshape Slice SpaceToDepth Split Squeeze Tile Transpose
            Unsqueeze
        """,
    },
    "onnx.normalisation": {
        "": """
            BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization
            LpNormalization MeanVarianceNormalization RMSNormalization SimplifiedLayerNormalization
        """,
    },
    "onnx.pooling": {
        "": """
            AveragePool GlobalAveragePool GlobalLpPool GlobalMaxPool LpPool MaxPool
        """,
    },
    "onnx.quantised": {
        "": """
            ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv
            QLinearMatMul QuantizeLinear
        """,
    },
    "onnx.recurrent": {
        "": """
            GRU LSTM RNN
        """,
    },
    "onnx.reduction": {
        "": """
            ArgMax ArgMin CumProd CumSum Hardmax LogSoftmax ReduceL1 ReduceL2 ReduceLogSum
            ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
            Softmax
        """,
    },
    "onnx.resizing": {
        "": """
            Resize Upsample
        """,
    },
    "onnx.sampling": {
        "": """
            AffineGrid DeformConv GridSample MaxRoiPool RoiAlign
        """,
    },
    "onnx.scatter": {
        "": """
            Col2Im MaxUnpool Scatter ScatterElements ScatterND TensorScatter
        """,
    },
    "onnx.selection": {
        "": """
            Bernoulli Det ImageDecoder Multinomial NegativeLogLikelihoodLoss NonMaxSuppression
            NonZero SoftmaxCrossEntropyLoss TopK Unique
        """,
    },
    "onnx.signal": {
        "": """
            BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT
        """,
    },
    "onnx.static": {
        "": """
            Constant ConstantOfShape EyeLike RandomNormal RandomNormalLike RandomUniform
            RandomUniformLike Shape Size
        """,
    },
    "onnx.strings": {
        "": """
            RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer
        """,
    },
    "onnx.training": {
        "ai.onnx.preview.training": """
            Adagrad Adam Gradient Momentum
        """,
    },
}
