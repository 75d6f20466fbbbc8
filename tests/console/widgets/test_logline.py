import pytest

from bhtui.console.widgets.logline import without_stamp

AT = 1_700_000_000  # 2023-11-14 22:13:20 UTC


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("2023-11-14T22:13:20Z INFO ready", "INFO ready"),
        ("2023-11-14T22:13:21.123456Z INFO ready", "INFO ready"),
        ("[2023-11-14 23:13:20,5+0100] ready", "ready"),
        ("2023-11-14 22:13:19.001 ready", "ready"),
        ("2023-11-14T22:10:00Z replayed from there", "2023-11-14T22:10:00Z replayed from there"),
        ("2023-99-14T22:10:00Z not a time", "2023-99-14T22:10:00Z not a time"),
        ("ready at 2023-11-14T22:13:20Z now", "ready at 2023-11-14T22:13:20Z now"),
    ],
)
def test_a_time_that_only_repeats_when_a_line_was_written_is_left_out(line, shown):
    assert without_stamp(line, AT * 10**9) == shown
