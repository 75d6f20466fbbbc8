"""Puts the agent together: the only place that knows all rooms. `life.run` is the whole life of one agent.

`assemble` makes things in the order in which they need each other, a stage a file: memory, rooms that need no other
(`alone`), what supervises (`supervised`), the journal and who asks it (`whole`), what looks by itself (`watches`), and
last the API (`serve`). An AsyncExitStack ends them in reverse.
"""
