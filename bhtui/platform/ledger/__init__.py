"""ledger: entries chained by their hashes."""
