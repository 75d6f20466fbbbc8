"""A service started on trial, with other data in the place of its own, where it can reach and change nothing."""
