"""What the console looks like, as tests."""
