import pytest

from bhtui.console.models.entries import Entry
from bhtui.console.models.match import parse
from bhtui.console.widgets.logline import LATE, LineLayout, draw_entry, fields, folded, prefix, without_stamp

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


def test_json_and_logfmt_are_folded_to_what_they_say():
    assert folded('{"level":"info","msg":"served","http":{"status":200}}') == ("served", "http.status=200")
    assert folded('level=info msg="served all" port=1') == ("served all", "port=1")
    assert folded("got port=1 there") == ("got port=1 there", "")
    assert folded("plain") == ("plain", "")


def test_a_line_is_unfolded_with_the_text_around_its_fields():
    line = Entry(AT * 10**9, 1, "web", "api-1", 3, "got port=1 there")
    assert fields(line)[:2] == [("message", "got port=1 there"), ("port", "1")]
    names = [name for name, _ in fields(line._replace(message='{"msg":"x","level":"warn"}'))]
    assert names == ["msg", "level", "written", "from"]


def test_a_note_stands_beneath_its_line():
    line = Entry(AT * 10**9, 1, "web", "api-1", 3, "refused")
    drawn = draw_entry(line, LineLayout(), parse(""), 60, False, "here it began")
    assert len(drawn) == 2
    assert "note: here it began" in "".join(text for text, _ in drawn[1])


def test_a_late_line_has_a_sign_and_says_why():
    line = Entry(AT * 10**9, 1, "web", "api-1", 3, "refused", late=True)
    assert "".join(text for text, _ in prefix(line, LineLayout()))[8] == LATE
    assert "".join(text for text, _ in prefix(line._replace(late=False), LineLayout()))[8] == " "
    assert "late" in dict(fields(line))


def test_a_line_of_a_host_with_a_wrong_clock_tells_what_that_said():
    line = Entry(AT * 10**9, 1, "web", "api-1", 3, "refused", offset_ns=3600 * 10**9)
    assert "shown by ours" in dict(fields(line))["its clock"]
