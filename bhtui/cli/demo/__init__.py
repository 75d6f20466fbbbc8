"""The demonstration: five services in a folder of their own, and an SSH server on loopback with throwaway keys."""
