"""The API as the agent serves it: decode, ask the room or begin an operation, encode. One file per proto file."""
