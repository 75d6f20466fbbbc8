"""The ordered log of everything the agent observed, its audit chain and its subscriptions. Knows no room."""
