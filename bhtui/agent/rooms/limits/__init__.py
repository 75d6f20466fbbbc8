"""What instances may use, held by cgroups or, where there are none, by rlimits."""
