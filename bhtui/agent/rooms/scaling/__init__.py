"""Follows the load of services with the number of their instances."""
