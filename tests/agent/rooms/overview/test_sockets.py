"""Sockets that listen: the kernel's tables, and real sockets of this process."""

import os
import socket
from pathlib import Path

import pytest

from bhtui.agent.rooms.overview.sockets import address_of, holders, listening, sockets_of

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr
   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4714 1 0
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   7: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 4715 2 0 0
   8: 0100007F:0035 08080808:0035 01 00000000:00000000 00:00000000 00000000   101        0 4716 2 0 0
broken
"""


@pytest.mark.skipif(os.sys.byteorder != "little", reason="recorded on a little-endian machine")
def test_what_listens_is_read_from_the_tables(tmp_path: Path) -> None:
    for name, text in (("tcp", TCP), ("tcp6", TCP6), ("udp", UDP)):
        (tmp_path / name).write_text(text)
    found = listening(tmp_path)
    assert [(each.protocol, each.shown, each.inode, each.uid) for each in found] == [
        ("tcp", "0.0.0.0:80", 4712, 0),
        ("tcp", "[::1]:5432", 4714, 0),
        ("tcp", "127.0.0.1:8080", 4711, 1000),
        ("udp", "127.0.0.53:53", 4715, 101),
    ]


def test_addresses_of_both_kinds() -> None:
    assert address_of("00000000") == "0.0.0.0"
    assert address_of("0" * 32) == "::"


@pytest.mark.skipif(os.sys.byteorder != "little", reason="recorded on a little-endian machine")
def test_an_address_of_ipv4_on_a_socket_of_ipv6_is_written_as_what_it_is() -> None:
    assert address_of("0000000000000000FFFF00000100007F") == "127.0.0.1"


def test_a_real_socket_is_found_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        [mine] = [each for each in listening() if each.port == port]
        assert mine.shown == f"127.0.0.1:{port}"
        assert holders([mine.inode], [1, os.getpid()])[mine.inode] in (1, os.getpid())
        assert mine.inode in sockets_of(os.getpid())
        assert holders([mine.inode], [os.getpid()], seconds=-1.0) == {}
