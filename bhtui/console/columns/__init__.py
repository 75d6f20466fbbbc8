"""Columns of every table as data: title, width, alignment, what goes first when the terminal is narrow, and the cell."""
