"""The brain of one host: supervises, measures, remembers; see wiring.py for how it is put together."""
