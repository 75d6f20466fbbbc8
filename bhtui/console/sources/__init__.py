"""Streams in: one set per host, or a recording of them. Nothing here knows Textual."""
