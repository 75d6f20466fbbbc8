"""The console: streams in (sources), reduced to views (models), told as data (columns), drawn (panes, screens, widgets)."""
