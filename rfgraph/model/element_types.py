"""The types of a tensor's elements by ONNX's numbers, and the arrays that they make.

The numbers are those of ``onnx.TensorProto.DataType``. They stand here so that a model of usual
types is read without the onnx package, which takes as long to import as most models to analyse.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import numpy as np

UNDEFINED = 0
FLOAT = 1
UINT8 = 2
INT8 = 3
UINT16 = 4
INT16 = 5
INT32 = 6
INT64 = 7
STRING = 8
BOOL = 9
FLOAT16 = 10
DOUBLE = 11
UINT32 = 12
UINT64 = 13
BFLOAT16 = 16
UINT4 = 21
INT4 = 22
FLOAT4E2M1 = 23

# Those that numpy has itself.
DTYPES: dict[int, np.dtype] = {
    FLOAT: np.dtype(np.float32),
    UINT8: np.dtype(np.uint8),
    INT8: np.dtype(np.int8),
    UINT16: np.dtype(np.uint16),
    INT16: np.dtype(np.int16),
    INT32: np.dtype(np.int32),
    INT64: np.dtype(np.int64),
    BOOL: np.dtype(np.bool_),
    FLOAT16: np.dtype(np.float16),
    DOUBLE: np.dtype(np.float64),
    UINT32: np.dtype(np.uint32),
    UINT64: np.dtype(np.uint64),
}

_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}


def dtype_of(element_type: int) -> np.dtype:
    """The type of arrays of an element type.

    Raises
    ------
    KeyError
        There is no such element type.

    Examples
    --------
    >>> dtype_of(FLOAT)
    dtype('float32')
    """
    known = DTYPES.get(element_type)
    if known is not None:
        return known
    from onnx import helper

    return np.dtype(helper.tensor_dtype_to_np_dtype(element_type))


def element_type_of(dtype: np.dtype) -> int:
    """The element type of arrays of a type.

    Raises
    ------
    ValueError
        ONNX has none for it.

    Examples
    --------
    >>> element_type_of(np.dtype(bool)) == BOOL
    True
    """
    known = _NUMBERS.get(dtype)
    if known is not None:
        return known
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(dtype))
