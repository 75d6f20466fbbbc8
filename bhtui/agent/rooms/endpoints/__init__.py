"""Where the instances of each service can be reached, and telling others when that changes."""
