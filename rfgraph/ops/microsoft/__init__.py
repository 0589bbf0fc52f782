"""Transfers of what onnxruntime adds: its contributed operators and its own layouts."""
