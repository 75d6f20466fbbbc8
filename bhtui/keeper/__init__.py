"""The keeper: parent of every service process and of the agent. It starts, signals, reaps, writes logs; nothing else.

Standard library only, one thread, no state it could get wrong. `python -m bhtui.keeper --run DIR --log-dir DIR
[--detach] [--agent-pid PID] -- AGENT ARGV...` starts one; `DIR/keeper.lock` allows one per directory.

Protocol
--------
`DIR/keeper.sock` is a `SOCK_SEQPACKET` Unix socket, mode 0600, for the keeper's own user and root (SO_PEERCRED). A
packet is a JSON object, with file descriptors beside it (SCM_RIGHTS); larger bodies come in a memfd (see `wire`).

A request has an `op` and an `id` of the client's choice. The answer has the id as `re`, and either its fields or
`error: {stage, errno, text}`. An answer with descriptors names them, in order, in `fds`: `pidfd`, `stdout` and `stderr`
until the pipe has ended, `tails` (see `capture`). A client must not read from the pipes: it holds them so that a
service does not die of SIGPIPE with the keeper, and to hand them to the next one. Several clients may be connected; one
that reads too slowly is dropped, and misses nothing because `list` has it all.

=========== ============================================ ====================================================
op          asks with                                    answers
=========== ============================================ ====================================================
hello       events: bool                                 version, protocol, pid, boot, started_ns, held,
                                                         terminating; to the agent also its own descriptors
spawn       key, argv, log {path, max_bytes, max_age_s,  the process (below), with descriptors; or an error
            keep, rate_lines, rate_bytes, rate_s}, and   whose stage is held, key, log, fork, setup, cgroup,
            any of: tag, env, cwd, uid, gid, groups,     oom_score_adj, rlimits, nice, ionice, user, umask, cwd,
            umask, nice, ionice [class, level],          exec
            rlimits {nofile: [soft, hard]},
            oom_score_adj, cgroups [directory]
signal      key, signal, group: bool                     nothing
kill        key, timeout (s)                             killed (a count), remaining [pid]: the whole tree
tree        key                                          pids
list        after (an order number)                      a packet `process` each with descriptors, then end, more
forget      key                                          nothing; drops an ended process
adopt       key, tag, pid, start, cgroups, log,          the process; one whose keeper died: how it ends can
            spawned_ns, fds [names], and descriptors     not be known then. With agent: true, the agent's pipes
emergency                                                killed, remaining; all at once, and spawn is refused
resume                                                   nothing; spawn is allowed again
sweep       timeout (s)                                  killed, remaining; what a dead keeper left behind
agent       action: stop, start, restart; argv, env      pid of the agent before the action
upgrade     argv, env of the keeper; agent {argv, env}   version, protocol, pid: said by the new keeper
shutdown    force: bool                                  killed, remaining; then agent and keeper end
rotate      key                                          nothing; begins a new log file
bound       key, log {as in spawn, of the same path}     nothing; when its log rotates and how much goes into it
stats                                                    counts of each log, descriptors, uptime; limited: what
                                                         was dropped of each log by its limit, also of closed ones
=========== ============================================ ====================================================

A process is `{key, tag, pid, start, boot, state, cgroups, log, spawned_ns, adopted, exit, order}`. `start` is field 22
of /proc/PID/stat: with the pid and the boot id it names a process for ever. `exit` is null while it runs, then `{code,
signal, unknown, time_ns, ticks, cpu_seconds, max_rss_bytes}`, kept until `forget`.

Events come to clients that asked for them in `hello`: `{event: exited, key, tag, pid, exit}`; `{event: terminate}`, the
keeper got SIGTERM and the agent should stop the services in order and send `shutdown`; `{event: emergency, uid, pid}`.
"""

PROTOCOL = 1
STATE = 2  # the layout of what one version hands to the next in an upgrade
