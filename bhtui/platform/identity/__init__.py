"""identity: accounts and tokens."""
