"""For all tests: Ctrl-C works, what is compiled is kept, examples are the same each time, and where everything must be
there (BHTUI_REQUIRE_ALL=1) a skipped one fails."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.long import IS_LONG

# A shell that starts the tests in the background has SIGINT ignored, and what is ignored is inherited: no program that
# a test starts would feel Ctrl-C. A handler is not inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Images of containers like to set this. The tests start a thousand Pythons, and each would compile the product anew.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    sys.dont_write_bytecode = False

# The same examples each time, and no clock on them: a change is judged by what it does, on a machine that is busy.
# BHTUI_LONG=1 looks for others.
settings.register_profile(
    "ours", derandomize=not IS_LONG, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("ours")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait for other programs begin first: what is left for the end is quick."""
    items.sort(key=lambda item: item.path.parent.name not in ("live", "faults"))


@pytest.fixture
def cache_home(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For XDG_CACHE_HOME of whoever places the real agent on hosts. What is placed is made once for all workers: its
    name says what is in it. Where it was placed is each test's own."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bundles"
    own = tmp_path / "cache/blackhole"
    own.mkdir(parents=True)
    for name in ("bundles", "wheels", "layers-backup", "layers-search"):
        (shared / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        (own / name).symlink_to(shared / name)
    return own.parent


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("BHTUI_REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and BHTUI_REQUIRE_ALL is set: {report.longrepr}"
    return report
