"""The Blackhole console: operations on Linux hosts over SSH."""

__version__ = "0.1.0"
