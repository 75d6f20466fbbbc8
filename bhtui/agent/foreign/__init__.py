"""What the host runs by itself: units and containers, supervised by others and shown and asked by us."""
