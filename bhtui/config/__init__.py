"""Reads `blackhole.yaml` into core.Spec, reporting every problem at once: `load.load` and `load.parse`.

Importing `load` costs about 60 ms (pydantic and PyYAML); a program that only shows things leaves it alone. `sources`,
which says what files a configuration is made of, is cheap.
"""
