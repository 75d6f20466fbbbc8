"""The service side: the contract as a library, and five reference services that use it.

`contract/` gives a service in Python all that `blackhole.service.v1` asks for. identity, storage, ledger, node and
indexer are small, real services on SQLite and gRPC; `load/` makes them work and fail; `demo` has their configuration.
Nothing here is imported by the agent or the console.
"""
