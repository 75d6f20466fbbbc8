"""indexer: full-text search over storage."""
