"""Analyses of a model, and the questions that they answer."""

from rfgraph.analysis.analysis import Analysis, analyze

__all__ = ["Analysis", "analyze"]
