"""The table of signatures and the numbers of element types, against the onnx package."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper

from rfgraph.model import element_types, graph, subgraphs, weights
from rfgraph.model.signature_table import NEWEST, TABLE
from rfgraph.model.signatures import Signature, schema_of, signature


def test_the_table_is_what_onnx_says() -> None:
    """`tools/signatures.py` writes it anew."""
    schemas = [s for s in defs.get_all_schemas_with_history() if not s.domain]
    there = {(s.name, s.since_version) for s in schemas}
    lines = {tuple(line.split("|")[0].split()[:2]) for line in TABLE.splitlines()}
    known = {(name, int(since)) for name, since in lines}
    newest = min(NEWEST, defs.onnx_opset_version())
    assert {key for key in known if key[1] <= newest} == {k for k in there if k[1] <= newest}
    for name in sorted({s.name for s in schemas}):
        for version in range(1, newest + 1):
            schema = schema_of("", name, version)
            assert signature("", name, version) == (schema and Signature.of(schema))


def test_what_the_table_lacks_is_onnx_s() -> None:
    newer = signature("", "Conv", NEWEST + 1)
    assert newer == Signature.of(defs.get_schema("Conv", defs.onnx_opset_version(), ""))
    scaler = signature("ai.onnx.ml", "Scaler", 3)
    assert scaler == Signature.of(defs.get_schema("Scaler", 3, "ai.onnx.ml"))
    assert signature("", "Nothing", 17) is None
    assert signature("mine", "Relu", 17) is None


def test_a_line_says_all() -> None:
    for op_type, version in [("Conv", 11), ("Concat", 13), ("Dropout", 13), ("Split", 18)]:
        found = Signature.of(defs.get_schema(op_type, version, ""))
        assert Signature.read(found.line()) == found


def test_numbers_are_onnx_s() -> None:
    names = [name for name in vars(element_types) if name.isupper() and name != "DTYPES"]
    assert {n: getattr(element_types, n) for n in names if not n.startswith("_")} == {
        n: TensorProto.DataType.Value(n) for n in names if not n.startswith("_")
    }
    assert weights.EXTERNAL == TensorProto.EXTERNAL
    kinds = onnx.AttributeProto
    assert graph._TENSOR == kinds.TENSOR
    assert {kinds.GRAPH, kinds.GRAPHS, kinds.UNDEFINED} == subgraphs._MAYBE_GRAPHS


@pytest.mark.parametrize("name", TensorProto.DataType.keys())
def test_types_of_arrays_are_onnx_s(name: str) -> None:
    number = TensorProto.DataType.Value(name)
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(number))
    except KeyError:
        with pytest.raises(KeyError):
            element_types.dtype_of(number)
        return
    assert element_types.dtype_of(number) == dtype
    expected = helper.np_dtype_to_tensor_dtype(dtype)
    assert element_types.element_type_of(dtype) == expected
