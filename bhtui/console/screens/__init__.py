"""Screens put panes together and carry out the actions that need a host."""
