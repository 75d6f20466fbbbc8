"""What the host runs and has, also where nothing is declared; and how what runs becomes a declared service."""
