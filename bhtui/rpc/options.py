"""Settings of gRPC that both ends must agree on."""

from __future__ import annotations

MAX_MESSAGE = 64 << 20
"""Bytes; a snapshot of thousands of instances with their last log lines fits many times."""

MAX_METADATA = 1 << 20
"""Bytes. An error's text travels in the trailers, which gRPC would cut off (with the call) at 8 KiB."""

KEEPALIVE_MS = 10_000

UNREAD = 1 << 20
"""Bytes of a stream that wait at the client at most. Left to itself gRPC takes in five times as much and more when the
way is fast: of twenty logs that nobody reads on, hundreds of megabytes."""

_BOTH: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", MAX_METADATA),
)

CLIENT: tuple[tuple[str, int], ...] = (
    *_BOTH,
    # A stream that follows may be silent for hours; pings tell silence from death.
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name: how long an attempt to connect may take, the host's first answer included. A host far away
    # or busy needs its time; what is not there fails at once.
    ("grpc.min_reconnect_backoff_ms", 20_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", UNREAD),
    # Otherwise a client made anew shares the old one's connection, with its back-off.
    ("grpc.use_local_subchannel_pool", 1),
)

SERVER: tuple[tuple[str, int], ...] = (
    *_BOTH,
    # Clients ping silent streams; gRPC's default is to hang up on those that do.
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)
