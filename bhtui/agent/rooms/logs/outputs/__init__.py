"""Log outputs: captured lines sent on to a file, syslog, Elasticsearch, Loki or journald, each at least once.

There is no second buffer. The captured files are the buffer, bounded by their rotation; an output is a place in them
that moves on when the other side has what lies before it. So a slow or dead receiver costs no memory and no disk, and
holds up neither capture nor another output. When rotation overtakes an output, what it had not read is counted.

Everything runs in a process of its own, the forwarder: formatting lines takes the interpreter's time, and probes must
not wait for it. The agent tells it what to do and reads how it is (`room`); it ends when the agent does, having saved
its places. Inside, one thread looks at the files (`chains`), and each output has one thread that reads (`tail`), sends
(`pump`, `sinks/`) and keeps its place (`cursors`).
"""
