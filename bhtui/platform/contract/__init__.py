"""What makes a Python program a managed service: derive from `Service`, hand it to `main`.

    class Counter(Service):
        name = "counter"
        schema = "CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"

        def register(self, server):
            add_CounterServicer_to_server(CounterApi(self), server)

    main(Counter)

It then has the contract, grpc.health.v1, server reflection, Prometheus metrics, JSON logs and a graceful stop.
"""

from .service import Context, Service, main

__all__ = ["Context", "Service", "main"]
