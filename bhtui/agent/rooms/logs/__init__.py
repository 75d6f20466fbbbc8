"""Captured output of the services: read, searched, followed."""
