"""`blackhole`: the whole power of the console as a command line."""
