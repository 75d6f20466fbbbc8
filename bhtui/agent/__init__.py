"""The brain of one host: supervises, measures, remembers; see wiring for how it is put together."""
