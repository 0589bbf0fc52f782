"""What ONNX's definitions say of its operators: written by tools/signatures.py.

A line is an operator and its `rfgraph.model.signatures.Signature.line`.
"""

# The newest operator set that the table has.
NEWEST = 28

TABLE = """\
Abs 1 1 1 1|0|consumed_inputs:7|0
Abs 6 1 1 1|0||0
Abs 13 1 1 1|0||0
Acos 7 1 1 1|0||0
Acos 22 1 1 1|0||0
Acosh 9 1 1 1|0||0
Acosh 22 1 1 1|0||0
Add 1 2 2 1|0 1|axis:2 broadcast:2 consumed_inputs:7|0
Add 6 2 2 1|0 1|axis:2 broadcast:2|0
Add 7 2 2 1|0 1||0
Add 13 2 2 1|0 1||0
Add 14 2 2 1|0 1||0
AffineGrid 20 2 2 1|0 1|align_corners:2|0
And 1 2 2 1|0 1|axis:2 broadcast:2|=9
And 7 2 2 1|0 1||=9
ArgMax 1 1 1 1|0|axis:2 keepdims:2|=7
ArgMax 11 1 1 1|0|axis:2 keepdims:2|=7
ArgMax 12 1 1 1|0|axis:2 keepdims:2 select_last_index:2|=7
ArgMax 13 1 1 1|0|axis:2 keepdims:2 select_last_index:2|=7
ArgMin 1 1 1 1|0|axis:2 keepdims:2|=7
ArgMin 11 1 1 1|0|axis:2 keepdims:2|=7
ArgMin 12 1 1 1|0|axis:2 keepdims:2 select_last_index:2|=7
ArgMin 13 1 1 1|0|axis:2 keepdims:2 select_last_index:2|=7
Asin 7 1 1 1|0||0
Asin 22 1 1 1|0||0
Asinh 9 1 1 1|0||0
Asinh 22 1 1 1|0||0
Atan 7 1 1 1|0||0
Atan 22 1 1 1|0||0
Atanh 9 1 1 1|0||0
Atanh 22 1 1 1|0||0
Attention 23 3 6 4|0 1 2|is_causal:2 kv_num_heads:2 q_num_heads:2 qk_matmul_output_mode:2 scale:1 softcap:1 softmax_precision:2|0 0 2 0
Attention 24 3 7 4|0 1 2|is_causal:2 kv_num_heads:2 q_num_heads:2 qk_matmul_output_mode:2 scale:1 softcap:1 softmax_precision:2|0 0 2 0
Attention 25 3 7 4|0 1 2|is_causal:2 kv_num_heads:2 left_window_size:2 q_num_heads:2 qk_matmul_output_mode:2 right_window_size:2 scale:1 softcap:1 softmax_precision:2|0 0 2 0
AveragePool 1 1 1 1|0|auto_pad:3 kernel_shape!:7 pads:7 strides:7|0
AveragePool 7 1 1 1|0|auto_pad:3 count_include_pad:2 kernel_shape!:7 pads:7 strides:7|0
AveragePool 10 1 1 1|0|auto_pad:3 ceil_mode:2 count_include_pad:2 kernel_shape!:7 pads:7 strides:7|0
AveragePool 11 1 1 1|0|auto_pad:3 ceil_mode:2 count_include_pad:2 kernel_shape!:7 pads:7 strides:7|0
AveragePool 19 1 1 1|0|auto_pad:3 ceil_mode:2 count_include_pad:2 dilations:7 kernel_shape!:7 pads:7 strides:7|0
AveragePool 22 1 1 1|0|auto_pad:3 ceil_mode:2 count_include_pad:2 dilations:7 kernel_shape!:7 pads:7 strides:7|0
BatchNormalization 1 5 5 5|0 1 2 3 4|consumed_inputs!:7 epsilon:1 is_test:2 momentum:1 spatial:2|0 0 0 0 0
BatchNormalization 6 5 5 5|0 1 2 3 4|epsilon:1 is_test:2 momentum:1 spatial:2|0 0 0 0 0
BatchNormalization 7 5 5 5|0 1 2 3 4|epsilon:1 momentum:1 spatial:2|0 0 0 0 0
BatchNormalization 9 5 5 5|0 1 2 3 4|epsilon:1 momentum:1|0 0 0 0 0
BatchNormalization 14 5 5 3|0 1 2 3 4|epsilon:1 momentum:1 training_mode:2|0 3 3
BatchNormalization 15 5 5 3|0 1 2 3 4|epsilon:1 momentum:1 training_mode:2|0 3 3
Bernoulli 15 1 1 1|0|dtype:2 seed:1|-1
Bernoulli 22 1 1 1|0|dtype:2 seed:1|-1
BitCast 26 1 1 1|0|to!:2|-1
BitShift 11 2 2 1|0 1|direction!:3|0
BitShift 28 2 2 1|0 1|direction!:3|0
BitwiseAnd 18 2 2 1|0 1||0
BitwiseNot 18 1 1 1|0||0
BitwiseOr 18 2 2 1|0 1||0
BitwiseXor 18 2 2 1|0 1||0
BlackmanWindow 17 1 1 1|0|output_datatype:2 periodic:2|-1
Cast 1 1 1 1|0|to!:3|-1
Cast 6 1 1 1|0|to!:2|-1
Cast 9 1 1 1|0|to!:2|-1
Cast 13 1 1 1|0|to!:2|-1
Cast 19 1 1 1|0|saturate:2 to!:2|-1
Cast 21 1 1 1|0|saturate:2 to!:2|-1
Cast 23 1 1 1|0|saturate:2 to!:2|-1
Cast 24 1 1 1|0|round_mode:3 saturate:2 to!:2|-1
Cast 25 1 1 1|0|round_mode:3 saturate:2 to!:2|-1
Cast 28 1 1 1|0|round_mode:3 saturate:2 to!:2|-1
CastLike 15 2 2 1|0 1||1
CastLike 19 2 2 1|0 1|saturate:2|1
CastLike 21 2 2 1|0 1|saturate:2|1
CastLike 23 2 2 1|0 1|saturate:2|1
CastLike 24 2 2 1|0 1|round_mode:3 saturate:2|1
CastLike 25 2 2 1|0 1|round_mode:3 saturate:2|1
CausalConvWithState 27 2 4 2|0 1|activation:3|0 0
Ceil 1 1 1 1|0|consumed_inputs:7|0
Ceil 6 1 1 1|0||0
Ceil 13 1 1 1|0||0
Celu 12 1 1 1|0|alpha:1|=1
Celu 28 1 1 1|0|alpha:1|0
CenterCropPad 18 2 2 1|0 1|axes:7|0
Clip 1 1 1 1|0|consumed_inputs:7 max:1 min:1|0
Clip 6 1 1 1|0|max:1 min:1|0
Clip 11 1 3 1|0||0
Clip 12 1 3 1|0||0
Clip 13 1 3 1|0||0
Col2Im 18 3 3 1|0 1 2|dilations:7 pads:7 strides:7|0
Compress 9 2 2 1|0 1|axis:2|0
Compress 11 2 2 1|0 1|axis:2|0
Compress 28 2 2 1|0 1|axis:2|0
Concat 1 1 2147483647 1||axis:2|0
Concat 4 1 2147483647 1||axis!:2|0
Concat 11 1 2147483647 1||axis!:2|0
Concat 13 1 2147483647 1||axis!:2|0
ConcatFromSequence 11 1 1 1|0|axis!:2 new_axis:2|-1
Constant 1 0 0 1||value!:4|-1
Constant 9 0 0 1||value!:4|-1
Constant 11 0 0 1||sparse_value:11 value:4|-1
Constant 12 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 13 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 19 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 21 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 23 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 24 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
Constant 25 0 0 1||sparse_value:11 value:4 value_float:1 value_floats:6 value_int:2 value_ints:7 value_string:3 value_strings:8|-1
ConstantOfShape 9 1 1 1|0|value:4|-1
ConstantOfShape 20 1 1 1|0|value:4|-1
ConstantOfShape 21 1 1 1|0|value:4|-1
ConstantOfShape 23 1 1 1|0|value:4|-1
ConstantOfShape 24 1 1 1|0|value:4|-1
ConstantOfShape 25 1 1 1|0|value:4|-1
Conv 1 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 pads:7 strides:7|0
Conv 11 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 pads:7 strides:7|0
Conv 22 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 pads:7 strides:7|0
ConvInteger 10 2 4 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 pads:7 strides:7|=6
ConvTranspose 1 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 output_padding:7 output_shape:7 pads:7 strides:7|0
ConvTranspose 11 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 output_padding:7 output_shape:7 pads:7 strides:7|0
ConvTranspose 22 2 3 1|0 1|auto_pad:3 dilations:7 group:2 kernel_shape:7 output_padding:7 output_shape:7 pads:7 strides:7|0
Cos 7 1 1 1|0||0
Cos 22 1 1 1|0||0
Cosh 9 1 1 1|0||0
Cosh 22 1 1 1|0||0
CumProd 26 2 2 1|0 1|exclusive:2 reverse:2|0
CumSum 11 2 2 1|0 1|exclusive:2 reverse:2|0
CumSum 14 2 2 1|0 1|exclusive:2 reverse:2|0
DFT 17 1 2 1|0|axis:2 inverse:2 onesided:2|0
DFT 20 1 3 1|0|inverse:2 onesided:2|0
DeformConv 19 3 5 1|0 1 2|dilations:7 group:2 kernel_shape:7 offset_group:2 pads:7 strides:7|0
DeformConv 22 3 5 1|0 1 2|dilations:7 group:2 kernel_shape:7 offset_group:2 pads:7 strides:7|0
DepthToSpace 1 1 1 1|0|blocksize!:2|0
DepthToSpace 11 1 1 1|0|blocksize!:2 mode:3|0
DepthToSpace 13 1 1 1|0|blocksize!:2 mode:3|0
DepthToSpace 28 1 1 1|0|blocksize!:2 mode:3|0
DequantizeLinear 10 2 3 1|0 1||=1
DequantizeLinear 13 2 3 1|0 1|axis:2|=1
DequantizeLinear 19 2 3 1|0 1|axis:2|1
DequantizeLinear 21 2 3 1|0 1|axis:2 block_size:2|1
DequantizeLinear 23 2 3 1|0 1|axis:2 block_size:2 output_dtype:2|-1
DequantizeLinear 24 2 3 1|0 1|axis:2 block_size:2 output_dtype:2|-1
DequantizeLinear 25 2 3 1|0 1|axis:2 block_size:2 output_dtype:2|-1
DequantizeLinear 28 2 3 1|0 1|axis:2 block_size:2 output_dtype:2|-1
Det 11 1 1 1|0||0
Det 22 1 1 1|0||0
Div 1 2 2 1|0 1|axis:2 broadcast:2 consumed_inputs:7|0
Div 6 2 2 1|0 1|axis:2 broadcast:2|0
Div 7 2 2 1|0 1||0
Div 13 2 2 1|0 1||0
Div 14 2 2 1|0 1||0
Dropout 1 1 1 2|0|consumed_inputs:7 is_test:2 ratio:1|0 0
Dropout 6 1 1 2|0|is_test:2 ratio:1|0 0
Dropout 7 1 1 2|0|ratio:1|0 0
Dropout 10 1 1 2|0|ratio:1|0 =9
Dropout 12 1 3 2|0|seed:2|0 =9
Dropout 13 1 3 2|0|seed:2|0 =9
Dropout 22 1 3 2|0|seed:2|0 =9
DynamicQuantizeLinear 11 1 1 3|0||=2 =1 =2
Einsum 12 1 2147483647 1||equation!:3|0
Einsum 28 1 2147483647 1||equation!:3|0
Elu 1 1 1 1|0|alpha:1 consumed_inputs:7|0
Elu 6 1 1 1|0|alpha:1|0
Elu 22 1 1 1|0|alpha:1|0
Equal 1 2 2 1|0 1|axis:2 broadcast:2|=9
Equal 7 2 2 1|0 1||=9
Equal 11 2 2 1|0 1||=9
Equal 13 2 2 1|0 1||=9
Equal 19 2 2 1|0 1||=9
Erf 9 1 1 1|0||0
Erf 13 1 1 1|0||0
Exp 1 1 1 1|0|consumed_inputs:7|0
Exp 6 1 1 1|0||0
Exp 13 1 1 1|0||0
Expand 8 2 2 1|0 1||0
Expand 13 2 2 1|0 1||0
EyeLike 9 1 1 1|0|dtype:2 k:2|-1
EyeLike 22 1 1 1|0|dtype:2 k:2|-1
Flatten 1 1 1 1|0|axis:2|0
Flatten 9 1 1 1|0|axis:2|0
Flatten 11 1 1 1|0|axis:2|0
Flatten 13 1 1 1|0|axis:2|0
Flatten 21 1 1 1|0|axis:2|0
Flatten 23 1 1 1|0|axis:2|0
Flatten 24 1 1 1|0|axis:2|0
Flatten 25 1 1 1|0|axis:2|0
Floor 1 1 1 1|0|consumed_inputs:7|0
Floor 6 1 1 1|0||0
Floor 13 1 1 1|0||0
GRU 1 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 output_sequence:2|0 0
GRU 3 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 linear_before_reset:2 output_sequence:2|0 0
GRU 7 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 linear_before_reset:2|0 0
GRU 14 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 layout:2 linear_before_reset:2|0 0
GRU 22 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 layout:2 linear_before_reset:2|0 0
Gather 1 2 2 1|0 1|axis:2|0
Gather 11 2 2 1|0 1|axis:2|0
Gather 13 2 2 1|0 1|axis:2|0
GatherElements 11 2 2 1|0 1|axis:2|0
GatherElements 13 2 2 1|0 1|axis:2|0
GatherND 11 2 2 1|0 1||0
GatherND 12 2 2 1|0 1|batch_dims:2|0
GatherND 13 2 2 1|0 1|batch_dims:2|0
Gelu 20 1 1 1|0|approximate:3|0
Gemm 1 3 3 1|0 1 2|alpha:1 beta:1 broadcast:2 transA:2 transB:2|0
Gemm 6 3 3 1|0 1 2|alpha:1 beta:1 broadcast:2 transA:2 transB:2|0
Gemm 7 3 3 1|0 1 2|alpha:1 beta:1 transA:2 transB:2|0
Gemm 9 3 3 1|0 1 2|alpha:1 beta:1 transA:2 transB:2|0
Gemm 11 2 3 1|0 1|alpha:1 beta:1 transA:2 transB:2|0
Gemm 13 2 3 1|0 1|alpha:1 beta:1 transA:2 transB:2|0
GlobalAveragePool 1 1 1 1|0||0
GlobalAveragePool 22 1 1 1|0||0
GlobalLpPool 1 1 1 1|0|p:1|0
GlobalLpPool 2 1 1 1|0|p:2|0
GlobalLpPool 22 1 1 1|0|p:2|0
GlobalMaxPool 1 1 1 1|0||0
GlobalMaxPool 22 1 1 1|0||0
Greater 1 2 2 1|0 1|axis:2 broadcast:2|=9
Greater 7 2 2 1|0 1||=9
Greater 9 2 2 1|0 1||=9
Greater 13 2 2 1|0 1||=9
GreaterOrEqual 12 2 2 1|0 1||=9
GreaterOrEqual 16 2 2 1|0 1||=9
GridSample 16 2 2 1|0 1|align_corners:2 mode:3 padding_mode:3|0
GridSample 20 2 2 1|0 1|align_corners:2 mode:3 padding_mode:3|0
GridSample 22 2 2 1|0 1|align_corners:2 mode:3 padding_mode:3|0
GroupNormalization 18 3 3 1|0 1 2|epsilon:1 num_groups!:2|0
GroupNormalization 21 3 3 1|0 1 2|epsilon:1 num_groups!:2 stash_type:2|0
HammingWindow 17 1 1 1|0|output_datatype:2 periodic:2|-1
HannWindow 17 1 1 1|0|output_datatype:2 periodic:2|-1
HardSigmoid 1 1 1 1|0|alpha:1 beta:1 consumed_inputs:7|0
HardSigmoid 6 1 1 1|0|alpha:1 beta:1|0
HardSigmoid 22 1 1 1|0|alpha:1 beta:1|0
HardSwish 14 1 1 1|0||0
HardSwish 22 1 1 1|0||0
Hardmax 1 1 1 1|0|axis:2|0
Hardmax 11 1 1 1|0|axis:2|0
Hardmax 13 1 1 1|0|axis:2|0
Identity 1 1 1 1|0||0
Identity 13 1 1 1|0||0
Identity 14 1 1 1|0||0
Identity 16 1 1 1|0||0
Identity 19 1 1 1|0||0
Identity 21 1 1 1|0||0
Identity 23 1 1 1|0||0
Identity 24 1 1 1|0||0
Identity 25 1 1 1|0||0
If 1 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 11 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 13 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 16 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 19 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 21 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 23 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 24 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
If 25 1 1 2147483647|0|else_branch!:5 then_branch!:5|-1
ImageDecoder 20 1 1 1|0|pixel_format:3|=2
InstanceNormalization 1 3 3 1|0 1 2|consumed_inputs:7 epsilon:1|0
InstanceNormalization 6 3 3 1|0 1 2|epsilon:1|0
InstanceNormalization 22 3 3 1|0 1 2|epsilon:1|0
IsInf 10 1 1 1|0|detect_negative:2 detect_positive:2|=9
IsInf 20 1 1 1|0|detect_negative:2 detect_positive:2|=9
IsNaN 9 1 1 1|0||=9
IsNaN 13 1 1 1|0||=9
IsNaN 20 1 1 1|0||=9
LRN 1 1 1 1|0|alpha:1 beta:1 bias:1 size!:2|0
LRN 13 1 1 1|0|alpha:1 beta:1 bias:1 size!:2|0
LSTM 1 3 8 3|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 input_forget:2 output_sequence:2|0 0 0
LSTM 7 3 8 3|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 input_forget:2|0 0 0
LSTM 14 3 8 3|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 input_forget:2 layout:2|0 0 0
LSTM 22 3 8 3|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 input_forget:2 layout:2|0 0 0
LayerNormalization 17 2 3 3|0 1|axis:2 epsilon:1 stash_type:2|0 -1 -1
LeakyRelu 1 1 1 1|0|alpha:1 consumed_inputs:7|0
LeakyRelu 6 1 1 1|0|alpha:1|0
LeakyRelu 16 1 1 1|0|alpha:1|0
Less 1 2 2 1|0 1|axis:2 broadcast:2|=9
Less 7 2 2 1|0 1||=9
Less 9 2 2 1|0 1||=9
Less 13 2 2 1|0 1||=9
LessOrEqual 12 2 2 1|0 1||=9
LessOrEqual 16 2 2 1|0 1||=9
LinearAttention 27 3 6 2|0 1 2|chunk_size:2 kv_num_heads!:2 q_num_heads!:2 scale:1 update_rule:3|0 3
Log 1 1 1 1|0|consumed_inputs:7|0
Log 6 1 1 1|0||0
Log 13 1 1 1|0||0
LogSoftmax 1 1 1 1|0|axis:2|0
LogSoftmax 11 1 1 1|0|axis:2|0
LogSoftmax 13 1 1 1|0|axis:2|0
Loop 1 3 2147483647 2147483647||body!:5|2
Loop 11 2 2147483647 2147483647||body!:5|2
Loop 13 2 2147483647 2147483647||body!:5|2
Loop 16 2 2147483647 2147483647||body!:5|2
Loop 19 2 2147483647 2147483647||body!:5|2
Loop 21 2 2147483647 2147483647||body!:5|2
Loop 23 2 2147483647 2147483647||body!:5|2
Loop 24 2 2147483647 2147483647||body!:5|2
Loop 25 2 2147483647 2147483647||body!:5|2
LpNormalization 1 1 1 1|0|axis:2 p:2|0
LpNormalization 22 1 1 1|0|axis:2 p:2|0
LpPool 1 1 1 1|0|auto_pad:3 kernel_shape:7 p:1 pads:7 strides:7|0
LpPool 2 1 1 1|0|auto_pad:3 kernel_shape!:7 p:2 pads:7 strides:7|0
LpPool 11 1 1 1|0|auto_pad:3 kernel_shape!:7 p:2 pads:7 strides:7|0
LpPool 18 1 1 1|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 p:2 pads:7 strides:7|0
LpPool 22 1 1 1|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 p:2 pads:7 strides:7|0
MatMul 1 2 2 1|0 1||0
MatMul 9 2 2 1|0 1||0
MatMul 13 2 2 1|0 1||0
MatMulInteger 10 2 4 1|0 1||=6
Max 1 1 2147483647 1||consumed_inputs:7|0
Max 6 1 2147483647 1|||0
Max 8 1 2147483647 1|||0
Max 12 1 2147483647 1|||0
Max 13 1 2147483647 1|||0
MaxPool 1 1 1 1|0|auto_pad:3 kernel_shape!:7 pads:7 strides:7|0
MaxPool 8 1 1 2|0|auto_pad:3 kernel_shape!:7 pads:7 storage_order:2 strides:7|0 =7
MaxPool 10 1 1 2|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 pads:7 storage_order:2 strides:7|0 =7
MaxPool 11 1 1 2|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 pads:7 storage_order:2 strides:7|0 =7
MaxPool 12 1 1 2|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 pads:7 storage_order:2 strides:7|0 =7
MaxPool 22 1 1 2|0|auto_pad:3 ceil_mode:2 dilations:7 kernel_shape!:7 pads:7 storage_order:2 strides:7|0 =7
MaxRoiPool 1 2 2 1|0 1|pooled_shape!:7 spatial_scale:1|0
MaxRoiPool 22 2 2 1|0 1|pooled_shape!:7 spatial_scale:1|0
MaxUnpool 9 2 3 1|0 1|kernel_shape!:7 pads:7 strides:7|0
MaxUnpool 11 2 3 1|0 1|kernel_shape!:7 pads:7 strides:7|0
MaxUnpool 22 2 3 1|0 1|kernel_shape!:7 pads:7 strides:7|0
Mean 1 1 2147483647 1||consumed_inputs:7|0
Mean 6 1 2147483647 1|||0
Mean 8 1 2147483647 1|||0
Mean 13 1 2147483647 1|||0
MeanVarianceNormalization 9 1 1 1|0|axes:7|0
MeanVarianceNormalization 13 1 1 1|0|axes:7|0
MelWeightMatrix 17 5 5 1|0 1 2 3 4|output_datatype:2|-1
Min 1 1 2147483647 1||consumed_inputs:7|0
Min 6 1 2147483647 1|||0
Min 8 1 2147483647 1|||0
Min 12 1 2147483647 1|||0
Min 13 1 2147483647 1|||0
Mish 18 1 1 1|0||0
Mish 22 1 1 1|0||0
Mod 10 2 2 1|0 1|fmod:2|0
Mod 13 2 2 1|0 1|fmod:2|0
Mod 28 2 2 1|0 1|fmod:2|0
Mul 1 2 2 1|0 1|axis:2 broadcast:2 consumed_inputs:7|0
Mul 6 2 2 1|0 1|axis:2 broadcast:2|0
Mul 7 2 2 1|0 1||0
Mul 13 2 2 1|0 1||0
Mul 14 2 2 1|0 1||0
Multinomial 7 1 1 1|0|dtype:2 sample_size:2 seed:1|-1
Multinomial 22 1 1 1|0|dtype:2 sample_size:2 seed:1|-1
Neg 1 1 1 1|0|consumed_inputs:7|0
Neg 6 1 1 1|0||0
Neg 13 1 1 1|0||0
NegativeLogLikelihoodLoss 12 2 3 1|0 1|ignore_index:2 reduction:3|0
NegativeLogLikelihoodLoss 13 2 3 1|0 1|ignore_index:2 reduction:3|0
NegativeLogLikelihoodLoss 22 2 3 1|0 1|ignore_index:2 reduction:3|0
NonMaxSuppression 10 2 5 1|0 1|center_point_box:2|=7
NonMaxSuppression 11 2 5 1|0 1|center_point_box:2|=7
NonZero 9 1 1 1|0||=7
NonZero 13 1 1 1|0||=7
Not 1 1 1 1|0||=9
OneHot 9 3 3 1|0 1 2|axis:2|2
OneHot 11 3 3 1|0 1 2|axis:2|2
OneHot 28 3 3 1|0 1 2|axis:2|2
Optional 15 0 1 1||type:13|-1
Optional 28 0 1 1||type:13|-1
OptionalGetElement 15 1 1 1|0||-1
OptionalGetElement 18 1 1 1|0||-1
OptionalGetElement 28 1 1 1|0||-1
OptionalHasElement 15 1 1 1|0||=9
OptionalHasElement 18 0 1 1|||=9
OptionalHasElement 28 0 1 1|||=9
Or 1 2 2 1|0 1|axis:2 broadcast:2|=9
Or 7 2 2 1|0 1||=9
PRelu 1 2 2 1|0 1|consumed_inputs:7|0
PRelu 6 2 2 1|0 1||0
PRelu 7 2 2 1|0 1||0
PRelu 9 2 2 1|0 1||0
PRelu 16 2 2 1|0 1||0
Pad 1 1 1 1|0|mode:3 paddings!:7 value:1|0
Pad 2 1 1 1|0|mode:3 pads!:7 value:1|0
Pad 11 2 3 1|0 1|mode:3|0
Pad 13 2 3 1|0 1|mode:3|0
Pad 18 2 4 1|0 1|mode:3|0
Pad 19 2 4 1|0 1|mode:3|0
Pad 21 2 4 1|0 1|mode:3|0
Pad 23 2 4 1|0 1|mode:3|0
Pad 24 2 4 1|0 1|mode:3|0
Pad 25 2 4 1|0 1|mode:3|0
Pow 1 2 2 1|0 1|axis:2 broadcast:2|0
Pow 7 2 2 1|0 1||0
Pow 12 2 2 1|0 1||0
Pow 13 2 2 1|0 1||0
Pow 15 2 2 1|0 1||0
QLinearConv 10 8 9 1|0 1 2 3 4 5 6 7|auto_pad:3 dilations:7 group:2 kernel_shape:7 pads:7 strides:7|7
QLinearMatMul 10 8 8 1|0 1 2 3 4 5 6 7||7
QLinearMatMul 21 8 8 1|0 1 2 3 4 5 6 7||7
QuantizeLinear 10 2 3 1|0 1||2
QuantizeLinear 13 2 3 1|0 1|axis:2|2
QuantizeLinear 19 2 3 1|0 1|axis:2 saturate:2|2
QuantizeLinear 21 2 3 1|0 1|axis:2 block_size:2 output_dtype:2 saturate:2|2
QuantizeLinear 23 2 3 1|0 1|axis:2 block_size:2 output_dtype:2 precision:2 saturate:2|2
QuantizeLinear 24 2 3 1|0 1|axis:2 block_size:2 output_dtype:2 precision:2 saturate:2|2
QuantizeLinear 25 2 3 1|0 1|axis:2 block_size:2 output_dtype:2 precision:2 saturate:2|2
QuantizeLinear 28 2 3 1|0 1|axis:2 block_size:2 output_dtype:2 precision:2 saturate:2|2
RMSNormalization 23 2 2 1|0 1|axis:2 epsilon:1 stash_type:2|1
RNN 1 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 output_sequence:2|0 0
RNN 7 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2|0 0
RNN 14 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 layout:2|0 0
RNN 22 3 6 2|0 1 2|activation_alpha:6 activation_beta:6 activations:8 clip:1 direction:3 hidden_size:2 layout:2|0 0
RandomNormal 1 0 0 1||dtype:2 mean:1 scale:1 seed:1 shape!:7|-1
RandomNormal 22 0 0 1||dtype:2 mean:1 scale:1 seed:1 shape!:7|-1
RandomNormalLike 1 1 1 1|0|dtype:2 mean:1 scale:1 seed:1|-1
RandomNormalLike 22 1 1 1|0|dtype:2 mean:1 scale:1 seed:1|-1
RandomUniform 1 0 0 1||dtype:2 high:1 low:1 seed:1 shape!:7|-1
RandomUniform 22 0 0 1||dtype:2 high:1 low:1 seed:1 shape!:7|-1
RandomUniformLike 1 1 1 1|0|dtype:2 high:1 low:1 seed:1|-1
RandomUniformLike 22 1 1 1|0|dtype:2 high:1 low:1 seed:1|-1
Range 11 3 3 1|0 1 2||0
Range 27 3 3 1|0 1 2|stash_type:2|0
Reciprocal 1 1 1 1|0|consumed_inputs:7|0
Reciprocal 6 1 1 1|0||0
Reciprocal 13 1 1 1|0||0
ReduceL1 1 1 1 1|0|axes:7 keepdims:2|0
ReduceL1 11 1 1 1|0|axes:7 keepdims:2|0
ReduceL1 13 1 1 1|0|axes:7 keepdims:2|0
ReduceL1 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceL2 1 1 1 1|0|axes:7 keepdims:2|0
ReduceL2 11 1 1 1|0|axes:7 keepdims:2|0
ReduceL2 13 1 1 1|0|axes:7 keepdims:2|0
ReduceL2 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceLogSum 1 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSum 11 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSum 13 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSum 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceLogSum 28 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceLogSumExp 1 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSumExp 11 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSumExp 13 1 1 1|0|axes:7 keepdims:2|0
ReduceLogSumExp 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceLogSumExp 28 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceMax 1 1 1 1|0|axes:7 keepdims:2|0
ReduceMax 11 1 1 1|0|axes:7 keepdims:2|0
ReduceMax 12 1 1 1|0|axes:7 keepdims:2|0
ReduceMax 13 1 1 1|0|axes:7 keepdims:2|0
ReduceMax 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceMax 20 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceMean 1 1 1 1|0|axes:7 keepdims:2|0
ReduceMean 11 1 1 1|0|axes:7 keepdims:2|0
ReduceMean 13 1 1 1|0|axes:7 keepdims:2|0
ReduceMean 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceMin 1 1 1 1|0|axes:7 keepdims:2|0
ReduceMin 11 1 1 1|0|axes:7 keepdims:2|0
ReduceMin 12 1 1 1|0|axes:7 keepdims:2|0
ReduceMin 13 1 1 1|0|axes:7 keepdims:2|0
ReduceMin 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceMin 20 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceProd 1 1 1 1|0|axes:7 keepdims:2|0
ReduceProd 11 1 1 1|0|axes:7 keepdims:2|0
ReduceProd 13 1 1 1|0|axes:7 keepdims:2|0
ReduceProd 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceSum 1 1 1 1|0|axes:7 keepdims:2|0
ReduceSum 11 1 1 1|0|axes:7 keepdims:2|0
ReduceSum 13 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
ReduceSumSquare 1 1 1 1|0|axes:7 keepdims:2|0
ReduceSumSquare 11 1 1 1|0|axes:7 keepdims:2|0
ReduceSumSquare 13 1 1 1|0|axes:7 keepdims:2|0
ReduceSumSquare 18 1 2 1|0|keepdims:2 noop_with_empty_axes:2|0
RegexFullMatch 20 1 1 1|0|pattern:3|=9
Relu 1 1 1 1|0|consumed_inputs:7|0
Relu 6 1 1 1|0||0
Relu 13 1 1 1|0||0
Relu 14 1 1 1|0||0
Reshape 1 1 1 1|0|consumed_inputs:7 shape:7|0
Reshape 5 2 2 1|0 1||0
Reshape 13 2 2 1|0 1||0
Reshape 14 2 2 1|0 1|allowzero:2|0
Reshape 19 2 2 1|0 1|allowzero:2|0
Reshape 21 2 2 1|0 1|allowzero:2|0
Reshape 23 2 2 1|0 1|allowzero:2|0
Reshape 24 2 2 1|0 1|allowzero:2|0
Reshape 25 2 2 1|0 1|allowzero:2|0
Resize 10 2 2 1|0 1|mode:3|0
Resize 11 3 4 1|0 1 2|coordinate_transformation_mode:3 cubic_coeff_a:1 exclude_outside:2 extrapolation_value:1 mode:3 nearest_mode:3|0
Resize 13 1 4 1|0|coordinate_transformation_mode:3 cubic_coeff_a:1 exclude_outside:2 extrapolation_value:1 mode:3 nearest_mode:3|0
Resize 18 1 4 1|0|antialias:2 axes:7 coordinate_transformation_mode:3 cubic_coeff_a:1 exclude_outside:2 extrapolation_value:1 keep_aspect_ratio_policy:3 mode:3 nearest_mode:3|0
Resize 19 1 4 1|0|antialias:2 axes:7 coordinate_transformation_mode:3 cubic_coeff_a:1 exclude_outside:2 extrapolation_value:1 keep_aspect_ratio_policy:3 mode:3 nearest_mode:3|0
ReverseSequence 10 2 2 1|0 1|batch_axis:2 time_axis:2|0
ReverseSequence 28 2 2 1|0 1|batch_axis:2 time_axis:2|0
RoiAlign 10 3 3 1|0 1 2|mode:3 output_height:2 output_width:2 sampling_ratio:2 spatial_scale:1|0
RoiAlign 16 3 3 1|0 1 2|coordinate_transformation_mode:3 mode:3 output_height:2 output_width:2 sampling_ratio:2 spatial_scale:1|0
RoiAlign 22 3 3 1|0 1 2|coordinate_transformation_mode:3 mode:3 output_height:2 output_width:2 sampling_ratio:2 spatial_scale:1|0
RotaryEmbedding 23 3 4 1|0 1 2|interleaved:2 num_heads:2 rotary_embedding_dim:2|0
Round 11 1 1 1|0||0
Round 22 1 1 1|0||0
STFT 17 2 4 1|0 1|onesided:2|0
Scan 8 2 2147483647 2147483647||body!:5 directions:7 num_scan_inputs!:2|1
Scan 9 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 11 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 16 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 19 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 21 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 23 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 24 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scan 25 1 2147483647 2147483647||body!:5 num_scan_inputs!:2 scan_input_axes:7 scan_input_directions:7 scan_output_axes:7 scan_output_directions:7|0
Scatter 9 3 3 1|0 1 2|axis:2|0
Scatter 11 3 3 1|0 1 2|axis:2|0
ScatterElements 11 3 3 1|0 1 2|axis:2|0
ScatterElements 13 3 3 1|0 1 2|axis:2|0
ScatterElements 16 3 3 1|0 1 2|axis:2 reduction:3|0
ScatterElements 18 3 3 1|0 1 2|axis:2 reduction:3|0
ScatterND 11 3 3 1|0 1 2||0
ScatterND 13 3 3 1|0 1 2||0
ScatterND 16 3 3 1|0 1 2|reduction:3|0
ScatterND 18 3 3 1|0 1 2|reduction:3|0
Selu 1 1 1 1|0|alpha:1 consumed_inputs:7 gamma:1|0
Selu 6 1 1 1|0|alpha:1 gamma:1|0
Selu 22 1 1 1|0|alpha:1 gamma:1|0
SequenceAt 11 2 2 1|0 1||-1
SequenceConstruct 11 1 2147483647 1|||-1
SequenceEmpty 11 0 0 1||dtype:2|-1
SequenceErase 11 1 2 1|0||0
SequenceInsert 11 2 3 1|0 1||0
SequenceLength 11 1 1 1|0||=7
SequenceMap 17 1 2147483647 2147483647|0|body!:5|0
Shape 1 1 1 1|0||=7
Shape 13 1 1 1|0||=7
Shape 15 1 1 1|0|end:2 start:2|=7
Shape 19 1 1 1|0|end:2 start:2|=7
Shape 21 1 1 1|0|end:2 start:2|=7
Shape 23 1 1 1|0|end:2 start:2|=7
Shape 24 1 1 1|0|end:2 start:2|=7
Shape 25 1 1 1|0|end:2 start:2|=7
Shrink 9 1 1 1|0|bias:1 lambd:1|0
Sigmoid 1 1 1 1|0|consumed_inputs:7|0
Sigmoid 6 1 1 1|0||0
Sigmoid 13 1 1 1|0||0
Sign 9 1 1 1|0||0
Sign 13 1 1 1|0||0
Sin 7 1 1 1|0||0
Sin 22 1 1 1|0||0
Sinh 9 1 1 1|0||0
Sinh 22 1 1 1|0||0
Size 1 1 1 1|0||=7
Size 13 1 1 1|0||=7
Size 19 1 1 1|0||=7
Size 21 1 1 1|0||=7
Size 23 1 1 1|0||=7
Size 24 1 1 1|0||=7
Size 25 1 1 1|0||=7
Slice 1 1 1 1|0|axes:7 ends!:7 starts!:7|0
Slice 10 3 5 1|0 1 2||0
Slice 11 3 5 1|0 1 2||0
Slice 13 3 5 1|0 1 2||0
Softmax 1 1 1 1|0|axis:2|0
Softmax 11 1 1 1|0|axis:2|0
Softmax 13 1 1 1|0|axis:2|0
SoftmaxCrossEntropyLoss 12 2 3 2|0 1|ignore_index:2 reduction:3|0 0
SoftmaxCrossEntropyLoss 13 2 3 2|0 1|ignore_index:2 reduction:3|0 0
Softplus 1 1 1 1|0||0
Softplus 22 1 1 1|0||0
Softsign 1 1 1 1|0||0
Softsign 22 1 1 1|0||0
SpaceToDepth 1 1 1 1|0|blocksize!:2|0
SpaceToDepth 13 1 1 1|0|blocksize!:2|0
SpaceToDepth 28 1 1 1|0|blocksize!:2 mode:3|0
Split 1 1 2 2147483647|0|axis:2 split:7|0
Split 2 1 1 2147483647|0|axis:2 split:7|0
Split 11 1 1 2147483647|0|axis:2 split:7|0
Split 13 1 2 2147483647|0|axis:2|0
Split 18 1 2 2147483647|0|axis:2 num_outputs:2|0
SplitToSequence 11 1 2 1|0|axis:2 keepdims:2|-1
SplitToSequence 24 1 2 1|0|axis:2 keepdims:2|-1
Sqrt 1 1 1 1|0|consumed_inputs:7|0
Sqrt 6 1 1 1|0||0
Sqrt 13 1 1 1|0||0
Squeeze 1 1 1 1|0|axes:7|0
Squeeze 11 1 1 1|0|axes:7|0
Squeeze 13 1 2 1|0||0
Squeeze 21 1 2 1|0||0
Squeeze 23 1 2 1|0||0
Squeeze 24 1 2 1|0||0
Squeeze 25 1 2 1|0||0
StringConcat 20 2 2 1|0 1||=8
StringNormalizer 10 1 1 1|0|case_change_action:3 is_case_sensitive:2 locale:3 stopwords:8|=8
StringSplit 20 1 1 2|0|delimiter:3 maxsplit:2|=8 =7
Sub 1 2 2 1|0 1|axis:2 broadcast:2 consumed_inputs:7|0
Sub 6 2 2 1|0 1|axis:2 broadcast:2|0
Sub 7 2 2 1|0 1||0
Sub 13 2 2 1|0 1||0
Sub 14 2 2 1|0 1||0
Sum 1 1 2147483647 1||consumed_inputs:7|0
Sum 6 1 2147483647 1|||0
Sum 8 1 2147483647 1|||0
Sum 13 1 2147483647 1|||0
SwiGLU 28 2 2 1|0 1|alpha:1|0
Swish 24 1 1 1|0|alpha:1|0
Tan 7 1 1 1|0||0
Tan 22 1 1 1|0||0
Tanh 1 1 1 1|0|consumed_inputs:7|0
Tanh 6 1 1 1|0||0
Tanh 13 1 1 1|0||0
TensorScatter 24 2 3 1|0 1|axis:2 mode:3|0
TfIdfVectorizer 9 1 1 1|0|max_gram_length!:2 max_skip_count!:2 min_gram_length!:2 mode!:3 ngram_counts!:7 ngram_indexes!:7 pool_int64s:7 pool_strings:8 weights:6|=1
ThresholdedRelu 10 1 1 1|0|alpha:1|0
ThresholdedRelu 22 1 1 1|0|alpha:1|0
Tile 1 3 3 1|0 1 2||0
Tile 6 2 2 1|0 1||0
Tile 13 2 2 1|0 1||0
TopK 1 1 1 2|0|axis:2 k!:2|0 =7
TopK 10 2 2 2|0 1|axis:2|0 =7
TopK 11 2 2 2|0 1|axis:2 largest:2 sorted:2|0 =7
TopK 24 2 2 2|0 1|axis:2 largest:2 sorted:2|0 =7
Transpose 1 1 1 1|0|perm:7|0
Transpose 13 1 1 1|0|perm:7|0
Transpose 21 1 1 1|0|perm:7|0
Transpose 23 1 1 1|0|perm:7|0
Transpose 24 1 1 1|0|perm:7|0
Transpose 25 1 1 1|0|perm:7|0
Trilu 14 1 2 1|0|upper:2|0
Unique 11 1 1 4|0|axis:2 sorted:2|0 =7 =7 =7
Unique 28 1 1 4|0|axis:2 sorted:2|0 =7 =7 =7
Unsqueeze 1 1 1 1|0|axes!:7|0
Unsqueeze 11 1 1 1|0|axes!:7|0
Unsqueeze 13 2 2 1|0 1||0
Unsqueeze 21 2 2 1|0 1||0
Unsqueeze 23 2 2 1|0 1||0
Unsqueeze 24 2 2 1|0 1||0
Unsqueeze 25 2 2 1|0 1||0
Upsample 1 1 1 1|0|height_scale!:1 mode:3 width_scale!:1|0
Upsample 7 1 1 1|0|mode:3 scales!:6|0
Upsample 9 2 2 1|0 1|mode:3|0
Upsample 10 2 2 1|0 1|mode:3|0
Where 9 3 3 1|0 1 2||1
Where 16 3 3 1|0 1 2||1
Xor 1 2 2 1|0 1|axis:2 broadcast:2|=9
Xor 7 2 2 1|0 1||=9
"""  # noqa: E501
