"""`blackhole logs`: reads them; with a further word counts them, cleans up, or tells where they are sent.

A service whose name is one of the further words is read by `blackhole logs -- NAME`.
"""

from bhtui.cli.app import MainVerb

from . import cleanup, count, outputs, read

command = MainVerb(name="logs", by_itself=read.command)
command.add_command(count.stats)
command.add_command(count.histogram)
command.add_command(cleanup.command)
command.add_command(outputs.command, "outputs")
