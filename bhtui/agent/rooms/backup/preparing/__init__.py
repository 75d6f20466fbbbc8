"""What makes a service consistent for its backup: each preparation in a file of its own."""
