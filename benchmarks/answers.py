"""Business Unit: benchmarks | Status: current.

What is to be said where a target is missed: the measurement's meaning, what stands in the way, the right target. It is printed
only beside a row that missed.
"""

from __future__ import annotations

from collections.abc import Mapping

ANSWERS: Mapping[str, str] = {}
