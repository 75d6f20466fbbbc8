"""Backups: what exists, and what a backup would take."""
