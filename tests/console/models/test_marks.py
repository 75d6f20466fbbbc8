from bhtui.console.models.entries import Entry
from bhtui.console.models.marks import NOTE_LIMIT, Marks, exported

LINE = Entry(1_700_000_000_123_456_000, 1, "web", "api-1", 5, "refused")
OTHER = LINE._replace(message="fine", rank=0, order=2)


def test_a_mark_stays_with_its_line_however_often_it_is_read():
    marks = Marks()
    marks.toggle(LINE)
    assert LINE._replace(order=77) in marks
    assert OTHER not in marks
    marks.toggle(LINE)
    assert LINE not in marks


def test_a_note_marks_its_line_is_one_line_and_bounded():
    marks = Marks()
    marks.write(LINE, " here\n it\tbegan ")
    assert marks.note(LINE) == "here it began"
    marks.write(LINE, "x" * 9999)
    assert len(marks.note(LINE)) == NOTE_LIMIT
    marks.write(LINE, "")
    assert LINE in marks
    assert marks.note(LINE) == ""
    assert len(marks) == 1


def test_what_is_exported_has_marks_and_notes():
    marks = Marks()
    marks.write(LINE, "here it began")
    marks.toggle(OTHER)
    assert list(exported([LINE, OTHER, OTHER._replace(message="last")], marks)) == [
        "2023-11-14T22:13:20.123456Z web api-1 error refused\n",
        "# mark: here it began\n",
        "2023-11-14T22:13:20.123456Z web api-1 - fine\n",
        "# mark\n",
        "2023-11-14T22:13:20.123456Z web api-1 - last\n",
    ]
