"""What the host's own managers supervise: units of systemd, containers of Docker and Podman.

A service of such a kind lives beside those whose processes are ours. Its manager starts, stops and restarts it; the
agent asks the manager for what people ask of the agent, and shows what the manager says by the same states, the same
events and the same numbers. It starts nothing again by itself and ends nothing when it ends.

`model.py` is what a manager offers. The supervisor's `mirror.py` says what follows from what is observed, and its
`mirroring.py` has the one task of each such instance. A manager knows no instance, no goal, no operation.
"""
