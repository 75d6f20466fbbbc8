"""Pure reducers from what sources saw to what panes draw. Time is an argument; nothing here knows Textual."""
