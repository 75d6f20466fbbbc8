# What a host is, asked in one round trip. POSIX sh: dash, busybox and old shells run it. $1: BLACKHOLE_HOME or
# empty, $2: path of the Python to use or empty. It changes nothing. Profiles may print before it, so it begins with a mark.
LC_ALL=C
export LC_ALL
printf '\nBLACKHOLE-PROBE-1\n'
say() { printf '%s\t%s\n' "$1" "$2"; }
uid=$(id -u)
say os "$(uname -s)"
say machine "$(uname -m)"
say uid "$uid"
say home "$HOME"
say xdg_config "$XDG_CONFIG_HOME"
say xdg_state "$XDG_STATE_HOME"

libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
[ -n "$libc" ] || libc=$(ldd --version 2>&1 | head -n 2 | tr '\n' ' ')
case $libc in *[0-9]*) ;; *) for f in /lib/ld-musl-*; do [ -e "$f" ] && libc="musl libc Version 1.1"; done ;; esac
say libc "$libc"

base=${1:-$BLACKHOLE_HOME}
case $base in "~") base=$HOME ;; "~/"*) base=$HOME/${base#"~/"} ;; esac
say base "$base"
if [ -n "$base" ]; then
  state=$base/state run=$base/run
elif [ "$uid" = 0 ]; then
  state=/var/lib/blackhole run=/run/blackhole
else
  state=${XDG_STATE_HOME:-$HOME/.local/state}/blackhole/lib run=${XDG_STATE_HOME:-$HOME/.local/state}/blackhole/run
fi
say state "$state"
near=$state
while [ ! -e "$near" ] && [ "$near" != / ] && [ -n "$near" ]; do near=$(dirname "$near"); done
say near "$near"
[ ! -f "$state/stopped" ] || say stopped "$(head -n 1 "$state/stopped" | tr '\t' ' ')"
if [ -d "$near" ] && [ -w "$near" ] && [ -x "$near" ]; then say writable yes; else say writable no; fi
say free_kb "$(df -Pk "$near" 2>/dev/null | awk 'NR == 2 { print $4 }')"
for d in "$state"/bundles/* "$state"/runtimes/*; do
  case $d in *.part) ;; *) [ -d "$d" ] && say placed "$d" ;; esac
done

ask='
import sys, sysconfig
missing = []
for name in ("asyncio", "ctypes", "hashlib", "sqlite3", "ssl", "zlib"):
    try:
        __import__(name)
    except ImportError:
        missing.append(name)
print("%d.%d.%d|%s|%s|%s|%s" % (sys.version_info[:3] + (sys.implementation.name,
    sysconfig.get_config_var("SOABI") or "", sys.executable, " ".join(missing))))
'
PATH=$PATH:/usr/local/bin:/usr/bin:/bin
seen=
good=
for name in "$2" python3 python3.14 python3.13 python3.12 python3.11; do
  [ -n "$name" ] || continue
  path=$(command -v "$name" 2>/dev/null) || continue
  found=$("$path" -I -c "$ask" </dev/null 2>/dev/null) || continue
  case "$seen" in *"<$found>"*) continue ;; esac
  seen="$seen<$found>"
  say python "$found"
  good=${good:-$path}
  case $found in 3.1[1-9].*"|cpython|"*"|" | 3.[2-9][0-9].*"|cpython|"*"|") good=$path && break ;; esac # it will do
done

if [ -S "$run/agent.sock" ]; then
  answers=no
  [ -z "$good" ] || "$good" -I -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(2)
s.connect(sys.argv[1])' "$run/agent.sock" </dev/null >/dev/null 2>&1 && answers=yes
  say socket "$answers"
fi
printf 'BLACKHOLE-PROBE-END\n'
