"""Transfers of ONNX's own operators, one family a module."""
