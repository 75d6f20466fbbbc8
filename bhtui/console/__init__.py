"""The console: streams in (sources), reduced to views (models), told as data (columns), then drawn (panes, screens)."""
