"""Supports against the gradients of PyTorch: models and masks that `make.py` writes."""
