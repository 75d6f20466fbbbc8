"""Coming up at boot, on the host itself: `python -m bhtui.agent.boot start|stop|install|uninstall|status`.

Run by the launcher (`identity.launcher`), which a unit or crontab line executes, and by the command line: here as a
subprocess, on other hosts over SSH. There are three ways to come up, the first that works is taken: a systemd unit of
the system, a unit of the user with linger, cron's @reboot. Standard library only. What is done is printed.
"""
