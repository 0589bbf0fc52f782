"""Checks of models: findings with codes, one check a file, whose docstring is its explanation."""

from __future__ import annotations

from rfgraph.checks.finding import Checked, Finding, Report
from rfgraph.checks.registry import CHECKS, Check, explained

# Importing a check registers it; they are made in this order.
from rfgraph.checks import (  # isort: skip
    rf101_covers as rf101_covers,
    rf102_reaches_too_far as rf102_reaches_too_far,
    rf103_unread as rf103_unread,
    rf104_unproductive as rf104_unproductive,
    rf105_unused as rf105_unused,
    rf201_batch as rf201_batch,
    rf202_causal as rf202_causal,
    rf203_mixing as rf203_mixing,
    rf301_merge as rf301_merge,
    rf302_holes as rf302_holes,
    rf303_off_centre as rf303_off_centre,
    rf304_uneven as rf304_uneven,
    rf401_changed as rf401_changed,
    rf402_parted as rf402_parted,
    rf901_assumed as rf901_assumed,
    rf902_computed as rf902_computed,
    rf903_known_to_differ as rf903_known_to_differ,
)
from rfgraph.checks.settings import Config, load  # isort: skip
from rfgraph.checks.suite import check  # isort: skip

__all__ = [
    "CHECKS",
    "Check",
    "Checked",
    "Config",
    "Finding",
    "Report",
    "check",
    "explained",
    "load",
]
