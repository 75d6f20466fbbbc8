from bhtui.console.models.entries import Entry
from bhtui.console.models.logs import LogFilter, LogModel
from bhtui.console.models.match import parse
from bhtui.console.models.page import Page


def made() -> LogModel:
    model = LogModel()
    model.extend(Entry(n * 10, 0, "a", "i", 3, str(n)) for n in range(10))
    return model


def test_a_late_line_waits_until_the_reader_moves():
    model = made()
    page = Page().turned(model.shown[2], model.shown[4], model).ending(model.shown[6])
    model.extend([Entry(45, 0, "a", "i", 3, "late"), Entry(100, 0, "a", "i", 3, "new")])
    late, new = model.shown[5], model.shown[-1]
    assert (late.message, new.message) == ("late", "new")
    assert page.turned(model.shown[2], model.shown[4], model) is page
    assert page.holds_back(late)
    assert not page.holds_back(new)
    assert not any(map(page.holds_back, [each for each in model.shown if each != late]))
    assert not page.turned(model.shown[2], model.shown[3], model).ending(model.shown[6]).holds_back(late)


def test_who_follows_or_filters_anew_sees_everything():
    model = made()
    page = Page().turned(model.shown[2], model.shown[4], model).ending(model.shown[6])
    model.extend([Entry(45, 0, "a", "i", 3, "late")])
    assert not page.turned(model.shown[2], None, model).ending(model.shown[6]).holds_back(model.shown[5])
    top, here = model.shown[2], model.shown[4]
    model.set_filter(LogFilter(parse("late")))
    assert not page.turned(top, here, model).ending(model.shown[-1]).holds_back(model.shown[0])
