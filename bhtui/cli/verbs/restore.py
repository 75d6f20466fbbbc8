"""`blackhole restore`: the same as `blackhole backup restore`, for whoever is in a hurry."""

from .backup.restore import command

__all__ = ["command"]
