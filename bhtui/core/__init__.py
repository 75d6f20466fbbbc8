"""The words of the domain. Standard library only; no I/O, no clock."""
