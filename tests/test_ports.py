"""Ports for tests: never one twice, whoever asks."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests import ports
from tests.ports import BLOCK, free_port, free_ports

ASK = "from tests.ports import free_ports; print(free_ports(10)); input()"


def test_no_port_is_given_twice() -> None:
    mine = {free_port() for _ in range(BLOCK + 5)}
    first = free_ports(7)
    assert len(mine) == BLOCK + 5
    assert not mine & set(range(first, first + 7))


def test_two_processes_never_get_the_same() -> None:
    mine = free_ports(10)
    words = [sys.executable, "-c", ASK]
    asked = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    firsts = [int(each.stdout.readline()) for each in asked if each.stdout]
    for each in asked:
        each.communicate("\n", timeout=20)
    assert len({mine // BLOCK, *(first // BLOCK for first in firsts)}) == 4


def test_one_in_use_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr(ports, "_next", taken)
        assert free_port() != taken
