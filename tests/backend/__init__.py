"""ONNX's own backend test cases, as a test of every operator that nobody here wrote."""
