"""Models that break the rules, made from valid ones: none may end in anything but a clear error.

Usage: python -m tests.fuzz [--cases N] [--seed S] [--jobs J]
"""
