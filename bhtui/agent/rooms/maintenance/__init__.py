"""Maintenance windows: declared or opened by people, times in which what the agent would restart by itself is held."""
