"""Operations: planned, written down before each step, run, undone, settled after a crash. Knows no room."""
