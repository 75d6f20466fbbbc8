"""Real programs that take logs, each in a folder of its own: rsyslog by four ways, and systemd's journal."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import trustme

from tests.live import require
from tests.ports import free_port
from tests.waiting import until

RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="8k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/cert.pem" defaultNetstreamDriverKeyFile="{folder}/key.pem")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
module(load="imuxsock" SysSock.Use="off")
template(name="all" type="string"
  string="%hostname% %app-name% %procid% %msgid% %syslogfacility-text% %syslogseverity-text% %structured-data% %msg%
")
ruleset(name="udp") {{ action(type="omfile" file="{folder}/udp.log" template="all" asyncWriting="off") }}
ruleset(name="tcp") {{ action(type="omfile" file="{folder}/tcp.log" template="all" asyncWriting="off") }}
ruleset(name="tls") {{ action(type="omfile" file="{folder}/tls.log" template="all" asyncWriting="off") }}
ruleset(name="unix") {{ action(type="omfile" file="{folder}/unix.log" template="all" asyncWriting="off") }}
input(type="imudp" address="{host}" port="{udp}" ruleset="udp" rcvbufSize="4m")
input(type="imptcp" address="{host}" port="{tcp}" ruleset="tcp")
input(type="imtcp" address="{host}" port="{tls}" ruleset="tls")
input(type="imuxsock" socket="{folder}/log.sock" ruleset="unix" useSpecialParser="off" rateLimit.interval="0")
"""


class Program:
    """One process that can be killed and started again at the same addresses."""

    def __init__(self, prefix: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None

    def argv(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(self.argv(), stdout=said, stderr=said, stdin=subprocess.DEVNULL)
        until(self.is_ready, what=f"{self.argv()[0]} is ready: {(self.folder / 'said').read_text()}")

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Rsyslog(Program):
    """Takes RFC 5424 and writes what it understood: a file for each way."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._program = require.program("rsyslogd", "/usr/sbin/rsyslogd")
        if not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
            require.missing("rsyslog-gnutls is not installed")
        super().__init__("bh-rsyslog-")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        made = authority.issue_cert(host)
        made.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        made.cert_chain_pems[0].write_to_path(str(self.folder / "cert.pem"))
        self.ports = {"udp": free_port(), "tcp": free_port(), "tls": free_port()}
        (self.folder / "conf").write_text(RSYSLOG.format(folder=self.folder, host=host, **self.ports))

    def argv(self) -> list[str]:
        return [self._program, "-n", "-f", str(self.folder / "conf"), "-i", str(self.folder / "pid")]

    def is_ready(self) -> bool:
        listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/udp").read_text()
        return all(f":{port:04X} " in listening for port in self.ports.values()) and (self.folder / "log.sock").exists()

    def start(self) -> None:
        (self.folder / "pid").unlink(missing_ok=True)
        super().start()

    def lines(self, way: str) -> list[str]:
        path = self.folder / f"{way}.log"
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def numbers(self, way: str) -> list[int]:
        return [int(found[1]) for line in self.lines(way) if (found := re.search(r"\] ?n (\d+)$", line))]


class Journald(Program):
    """systemd-journald in a mount namespace whose /run is a folder of ours."""

    def __init__(self) -> None:
        require.root()
        self._program = require.program("/lib/systemd/systemd-journald")
        require.program("journalctl")
        super().__init__("bh-journal-")
        self.run = self.folder / "run"
        for name in ("systemd/journal", "systemd/journald.conf.d", "log/journal"):
            (self.run / name).mkdir(parents=True)
        settings = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToSyslog=no\nReadKMsg=no\nAudit=no\n"
        (self.run / "systemd/journald.conf.d/test.conf").write_text(settings)

    @property
    def socket(self) -> Path:
        return self.run / "systemd/journal/socket"

    def argv(self) -> list[str]:
        script = f"mount --bind {self.run} /run && exec {self._program}"
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def is_ready(self) -> bool:
        return self.socket.exists()

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        super().start()

    def entries(self) -> list[dict[str, object]]:
        argv = ["journalctl", "--directory", str(self.run / "log/journal"), "--output", "json", "--all", "--no-pager"]
        done = subprocess.run([*argv, "BLACKHOLE_SERVICE=num"], capture_output=True, timeout=60, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def numbers(self) -> list[int]:
        texts = [str(entry.get("MESSAGE", "")) for entry in self.entries()]
        return [int(text.split()[1]) for text in texts if text.startswith("n ")]
