"""`blackhole logs`: reads them; with a further word counts them or cleans up.

A service whose name is one of the further words is read by `blackhole logs -- NAME`.
"""

from bhtui.cli.app import MainVerb

from . import read

command = MainVerb(name="logs", by_itself=read.command)
