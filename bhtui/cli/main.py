"""Where `blackhole` begins.

`status` of this machine is what a person repeats all day, so its plain forms are parsed here by hand and answered by
the quick road; everything else goes on to click, which alone takes longer to import than the whole of such a status.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from bhtui.rpc.stuck import Watch

    Quick = tuple[list[str], str, bool]
    """Names, output, whether detailed."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code; errors are one line on stderr."""
    gc.disable()  # nothing that is imported is garbage; what runs longer enables it again
    words = list(sys.argv[1:] if argv is None else argv)
    plain = parse_quick(words)
    if plain is not None:
        code = _quick_status(plain)
        if code is not None:
            return code
    from .app import run

    return run(words)


def parse_quick(words: Sequence[str]) -> Quick | None:
    """`status [SERVICE...] [--output table|json] [--detailed]` in any order; None: more than that."""
    names: list[str] = []
    output, detailed = "table", False
    rest = iter(words)
    for word in rest:
        if word == "--detailed":
            detailed = True
        elif word in ("--output", "-o"):
            output = next(rest, "")
            if output.startswith("-"):
                return None
        elif word.startswith("--output="):
            output = word[len("--output=") :]
        elif word.startswith("-"):
            return None
        else:
            names.append(word)
    if names[:1] != ["status"] or output not in ("table", "json"):
        return None
    return names[1:], output, detailed


def _quick_status(plain: Quick) -> int | None:
    """None: no agent answers there, and the long way shall start it or say why it cannot."""
    from bhtui.rpc import quick

    names, output, detailed = plain
    watches: list[Watch] = []

    def is_hopeless() -> bool:
        from bhtui.rpc import stuck

        if not watches:
            watches.append(stuck.Watch(os.path.dirname(path)))  # noqa: PTH120
        return watches[0].is_hopeless()

    try:
        path = quick.socket_path(os.environ, os.getuid())
        instances, notes = quick.status_with_notes(path, names, quick.TIMEOUT, is_hopeless)
    except quick.QuickError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except TimeoutError:
        if not watches:
            return None  # it did not even take the connection
        sys.stderr.write(f"{watches[0].text(quick.TIMEOUT)}\n")
        return 4
    except OSError:
        return None
    from .present import notes_text, status_json, status_table, terminal_width, unwell, write_out

    table = status_table(instances, detailed=detailed, width=terminal_width()) + notes_text(notes)
    write_out(status_json(instances) if output == "json" else table)
    return 1 if any(map(unwell, instances)) else 0


if __name__ == "__main__":
    sys.exit(main())
