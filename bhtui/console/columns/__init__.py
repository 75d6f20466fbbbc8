"""Columns of every table as data: title, width, alignment, what goes first when there is no room, the cell."""
