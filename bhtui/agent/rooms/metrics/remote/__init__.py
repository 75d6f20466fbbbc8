"""Remote write: every figure of the endpoint, sent to a Prometheus or what speaks its protocol.

Protocol: https://prometheus.io/docs/specs/prw/remote_write_spec/ (1.0: protobuf in one snappy block). `wire.py` makes
a request of rows, `snappy.py` packs it, `spool.py` keeps it on disk until it is sent, `sender.py` sends, `room.py`
takes the figures and knows how it goes, `verdicts.py` says what becomes an event.
"""
