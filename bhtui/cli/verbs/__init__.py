"""The verbs of `blackhole`: each module has its `command`, and is imported only when that runs."""
