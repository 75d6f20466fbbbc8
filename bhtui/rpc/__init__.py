"""What crosses the wire: the generated stubs, the conversions, the errors and the typed client."""

import os

# gRPC's core writes warnings of its own to stderr, into the middle of screens; it reads these once, on import.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
