"""What crosses the wire: the generated stubs, the conversions, the errors and the typed client."""
