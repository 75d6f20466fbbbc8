"""storage: blobs by name."""
