"""`blackhole metrics`: what was measured; with a further word, how remote write is, or the page for Prometheus.

A service whose name is one of the further words is shown by `blackhole metrics -- NAME`.
"""

from bhtui.cli.app import MainVerb

from . import page, remote_write, show

command = MainVerb(name="metrics", by_itself=show.command)
command.add_command(remote_write.command, "remote-write")
command.add_command(page.command, "page")
