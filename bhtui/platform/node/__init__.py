"""node: who takes part."""
