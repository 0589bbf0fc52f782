"""Write rfgraph/model/signature_table.py: what the installed onnx package says of operators.

Run it with the latest release of onnx: ``python tools/signatures.py``.
"""

from __future__ import annotations

from pathlib import Path

from onnx import defs

from rfgraph.model.signatures import Signature

TABLE = Path(__file__).parents[1] / "rfgraph" / "model" / "signature_table.py"

HEAD = '''"""What ONNX's definitions say of its operators: written by tools/signatures.py.

A line is an operator and its `rfgraph.model.signatures.Signature.line`.
"""

# The newest operator set that the table has.
NEWEST = {newest}

TABLE = """\\
{lines}
"""  # noqa: E501
'''


def table() -> str:
    """The module."""
    schemas = [schema for schema in defs.get_all_schemas_with_history() if not schema.domain]
    schemas.sort(key=lambda schema: (schema.name, schema.since_version))
    lines = [f"{schema.name} {Signature.of(schema).line()}" for schema in schemas]
    return HEAD.format(newest=defs.onnx_opset_version(), lines="\n".join(lines))


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
