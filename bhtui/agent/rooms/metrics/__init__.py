"""What instances and the host use, sampled once a second, and the Prometheus endpoint."""
