"""Reads `blackhole.yaml` into core.Spec, reporting every problem at once.

Importing this costs about 60 ms (pydantic and PyYAML); a program that only shows things leaves it alone.
"""

from .load import load, parse

__all__ = ["load", "parse"]
