"""Panes draw models. They never call an RPC: what they want done they post as a message or hand to the screen."""
