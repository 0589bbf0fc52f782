"""Analyses of a model, and the questions that they answer."""

from rfgraph.analysis.analysis import Analysis
from rfgraph.analysis.entry import analyze

__all__ = ["Analysis", "analyze"]
