"""Between core types and messages, pure, both ways; one module a noun."""
