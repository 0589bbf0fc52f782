"""Probes: models rewritten so that a NaN put into an input shows what depends on it."""
