"""The restic repository format, version 2: read, written, checked and cleaned by our own engine.

After the published design, https://restic.readthedocs.io/en/stable/100_references.html. Every module names the part of
it that it holds. Nothing here knows a service or the agent; it runs in a child process, so it may block.
"""
