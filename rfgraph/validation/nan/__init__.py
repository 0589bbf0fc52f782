"""Probes: models rewritten so that a NaN put into an input shows what depends on it.

`probe` makes one, `kernels` says what a runtime's kernels do with a NaN and what stands in for
those that lose it, the families of operators have how that is written, and `emitter` writes it.
"""
