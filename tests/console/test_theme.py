import pytest

from bhtui.console import theme
from bhtui.core.errors import UsageError


def test_at_least_two_themes_come_with_the_product():
    assert {"day", "night"} <= theme.available().keys()


@pytest.mark.parametrize("name", theme.available())
def test_shipped_themes_are_whole(name):
    loaded = theme.load(theme.find(name))
    assert loaded.name == name
    style = loaded.style("cursor bad")
    assert style.bgcolor == loaded.styles["cursor"].bgcolor
    assert style.color == loaded.styles["bad"].color


def test_every_fault_of_a_theme_is_told(tmp_path):
    path = tmp_path / "odd.toml"
    path.write_text('name = "odd"\n[colors]\nbg = "#000000"\n[styles]\ntext = "$nothing"\nbad = "not a style at all"\n')
    with pytest.raises(UsageError) as caught:
        theme.load(path)
    assert all(
        part in str(caught.value)
        for part in ("odd.toml", "no color 'accent'", "style 'text'", "style 'bad'", "no style 'ok'")
    )


def test_an_unknown_theme_names_those_there_are(tmp_path):
    (tmp_path / "mine.toml").write_text("")
    with pytest.raises(UsageError, match="day, mine, night"):
        theme.find("dusk", (tmp_path,))


def test_a_theme_may_be_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("")
    assert theme.find(str(path)) == path
    with pytest.raises(UsageError, match="cannot use"):
        theme.load(path)
