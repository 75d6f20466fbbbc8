"""How a unit's latest run ended, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bhtui.core.units import signal_name

Properties = Mapping[str, Any]

# Exit codes with which systemd itself ends a child that it could not make what the unit says: systemd.exec(5).
SETUP = {
    200: "CHDIR: its WorkingDirectory= cannot be entered",
    201: "NICE: its Nice= could not be set",
    202: "FDS: its descriptors could not be prepared",
    203: "EXEC: its program could not be executed",
    204: "MEMORY: there was not enough memory",
    205: "LIMITS: its Limit...= could not be set",
    206: "OOM_ADJUST: its OOMScoreAdjust= could not be set",
    207: "SIGNAL_MASK: its signals could not be set",
    208: "STDIN: its standard input could not be opened",
    209: "STDOUT: its standard output could not be opened",
    210: "CHROOT: its RootDirectory= cannot be entered",
    211: "IOPRIO: its IOScheduling...= could not be set",
    212: "TIMERSLACK: its TimerSlackNSec= could not be set",
    213: "SECUREBITS: its SecureBits= could not be set",
    214: "SETSCHEDULER: its CPUScheduling...= could not be set",
    215: "CPUAFFINITY: its CPUAffinity= could not be set",
    216: "GROUP: its Group= does not exist or may not be taken",
    217: "USER: its User= does not exist or may not be taken",
    218: "CAPABILITIES: its capabilities could not be set",
    219: "CGROUP: its control group could not be made",
    220: "SETSID: it could not begin a session",
    222: "STDERR: its standard error could not be opened",
    224: "PAM: PAM refused it",
    225: "NETWORK: its network namespace could not be made",
    226: "NAMESPACE: its mount namespace could not be made",
    227: "NO_NEW_PRIVILEGES: its NoNewPrivileges= could not be set",
    228: "SECCOMP: its SystemCallFilter= could not be set",
    229: "SELINUX_CONTEXT: its SELinuxContext= could not be set",
    230: "PERSONALITY: its Personality= could not be set",
    231: "APPARMOR_PROFILE: its AppArmorProfile= could not be set",
    232: "ADDRESS_FAMILIES: its RestrictAddressFamilies= could not be set",
    233: "RUNTIME_DIRECTORY: its RuntimeDirectory= could not be made",
    235: "CHOWN: its socket could not be given away",
    236: "SMACK_PROCESS_LABEL: its SmackProcessLabel= could not be set",
    237: "KEYRING: its keyring could not be made",
    238: "STATE_DIRECTORY: its StateDirectory= could not be made",
    239: "CACHE_DIRECTORY: its CacheDirectory= could not be made",
    240: "LOGS_DIRECTORY: its LogsDirectory= could not be made",
    241: "CONFIGURATION_DIRECTORY: its ConfigurationDirectory= could not be made",
    242: "NUMA_POLICY: its NUMAPolicy= could not be set",
    243: "CREDENTIALS: its credentials could not be read",
}
EXITED, KILLED, DUMPED = 1, 2, 3
"""How a process can end: CLD_EXITED and its like."""
BESIDE = ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecStop", "ExecStopPost", "ExecReload")
"""Commands beside the main one that can fail a unit."""


def exit_text(p: Properties) -> str:
    """`exit 203 (EXEC: its program could not be executed)`, `killed by SIGKILL: out of memory`."""
    match p.get("Result", "success"):
        case "oom-kill":
            return "killed by SIGKILL: out of memory"
        case "timeout":
            return _timeout(p)
        case "watchdog":
            return f"ended by its watchdog: it gave no sign within {_seconds(p.get('WatchdogUSec'))} (WatchdogSec=)"
        case "start-limit-hit":
            burst, within = p.get("StartLimitBurst", 0), _seconds(p.get("StartLimitIntervalUSec"))
            return f"{_main(p) or 'it ended'}; systemd gave up after {burst} starts within {within} (start limit)"
        case "protocol":
            return f"it did not say that it is ready as Type={p.get('Type', '')} wants it"
        case "resources":
            return "systemd could not get what its unit needs; its log says what"
        case "exec-condition":
            return "skipped: its ExecCondition= does not hold"
        case "success":
            return _main(p)
    return (_beside(p) or _main(p) or str(p.get("Result"))) + _given_up(p)


def _given_up(p: Properties) -> str:
    """That systemd would have started it again, had it not done so too often."""
    restarts = p.get("NRestarts", 0)
    if p.get("ActiveState") != "failed" or not restarts:
        return ""
    within = _seconds(p.get("StartLimitIntervalUSec"))
    return f"; systemd gave up after {restarts} restarts (start limit {p.get('StartLimitBurst', 0)} within {within})"


def _main(p: Properties) -> str:
    """How the main process ended; empty: it has none, or none has ended."""
    code, status = p.get("ExecMainCode", 0), p.get("ExecMainStatus", 0)
    return ended(code, status)


def ended(code: int, status: int) -> str:
    """`exit 1`, `killed by SIGSEGV, core dumped`; empty: it has not ended."""
    if code == EXITED:
        return f"exit {status}" + (f" ({SETUP[status]})" if status in SETUP else "")
    if code in (KILLED, DUMPED):
        return f"killed by {signal_name(status)}" + (", core dumped" if code == DUMPED else "")
    return ""


def _beside(p: Properties) -> str:
    """Which command beside the main one failed; empty: none."""
    for name in BESIDE:
        for path, _, ignore, *_, code, status in p.get(name) or ():
            if not ignore and (code in (KILLED, DUMPED) or (code == EXITED and status)):
                return f"{name}={path}: {ended(code, status)}"
    return ""


def _timeout(p: Properties) -> str:
    # It was up before if it became active after it was last down.
    was_up = p.get("ActiveEnterTimestampMonotonic", 0) >= p.get("InactiveExitTimestampMonotonic", 0) > 0
    if was_up:
        return f"it did not end within {_seconds(p.get('TimeoutStopUSec'))} (TimeoutStopSec=)"
    return f"it was not up within {_seconds(p.get('TimeoutStartUSec'))} (TimeoutStartSec=)"


def _seconds(usec: int | None) -> str:
    return f"{(usec or 0) / 1e6:g} s"
