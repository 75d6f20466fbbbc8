"""Load for the reference services: `python -m bhtui.platform.load --rate 100 --duration 30`, or `run`."""

from .generate import Report, Targets, inject, run

__all__ = ["Report", "Targets", "inject", "run"]
