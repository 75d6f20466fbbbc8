"""Containers of Docker and Podman, by the API that both serve on a Unix socket.

https://docs.docker.com/reference/api/engine/ ; Podman serves the same paths, and its own below `/libpod`.
"""
