"""Clocks on screens are read in UTC, whatever this machine's zone is."""

import os
import time

import pytest


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
