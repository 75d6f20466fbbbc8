"""Several files make one configuration; each keeps its own lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhtui.config.layers import Around
from bhtui.config.load import gather, load, parse
from bhtui.config.sources import Pack, pack, unpack, watched
from bhtui.core.errors import ConfigError
from bhtui.core.spec import Spec

WEB = "services: {web: {command: web}}\n"


class Files:
    """A folder; `problems` are told with the folder left out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.root / name.replace("__", "/")
            path = path.with_name(f"{path.name}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def load(self) -> Spec:
        return load(self.root / "main.yaml", around=Around())

    def problems(self) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load()
        return [str(each).replace(f"{self.root}/", "") for each in caught.value.problems]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_pattern_includes_its_files_in_order(files: Files) -> None:
    files.write(
        main="include: [conf.d/*.yaml, other.yaml]\n" + WEB + "alerts: [{name: a, condition: up}]\n",
        conf__b="services: {b: {command: b}}\nmetrics: {listen: 9090}\n",
        other="x-y: 1\nservices: {c: {command: c}}\nalerts: [{name: b, condition: up}]\n",
    )
    (files.root / "conf.d").mkdir()
    (files.root / "conf/b.yaml").rename(files.root / "conf.d/b.yaml")
    (files.root / "conf.d/a.yaml").write_text("services: {a: {command: a}}\n")
    spec = files.load()
    assert list(spec.services) == ["web", "a", "b", "c"]
    assert spec.metrics.listen == "127.0.0.1:9090"
    assert [alert["name"] for alert in spec.sections["alerts"]] == ["a", "b"]


def test_an_included_file_includes_from_its_own_folder(files: Files) -> None:
    files.write(
        main="include: sub/a.yaml\n" + WEB,
        sub__a="include: [b.yaml]\nservices: {a: {command: a, working_dir: here}}\n",
        sub__b="services: {b: {command: b, depends_on: [web]}}\n",
    )
    spec = files.load()
    assert set(spec.services) == {"web", "a", "b"}
    assert spec.services["a"].working_dir == str(files.root / "here")


def test_each_file_keeps_its_lines(files: Files) -> None:
    files.write(
        main="include: [a.yaml, b.yaml]\n" + WEB + "servces: {}\n",
        a="\nservices:\n  a: {comand: a}\n",
        b="services: {b: {command: b, depends_on: [wbe]}}\nmetrics: {history: 1}\n- x\n",
    )
    assert [each.partition(": ")[0] for each in files.problems()] == [
        "main.yaml:3:1", "a.yaml:3:3", "a.yaml:3:7", "b.yaml:3:1"
    ]  # fmt: skip
    files.write(b="services: {b: {command: b, depends_on: [wbe]}}\n")
    assert "b.yaml:1:41: services.b depends on 'wbe', which is not declared (did you mean 'web'?)" in files.problems()


def test_what_is_declared_twice_names_both_places(files: Files) -> None:
    files.write(
        main="include: [a.yaml]\n" + WEB + "logging: {level: info}\n",
        a="services:\n  web: {command: other}\nlogging: {level: debug, format: json}\n",
    )
    assert files.problems() == [
        "a.yaml:2:3: services.web is given twice (first in main.yaml:2)",
        "a.yaml:3:11: logging.level is given twice (first in main.yaml:3)",
    ]


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("include: none.yaml", "main.yaml:1:1: cannot include none.yaml: there is no such file"),
        ("include: [none.yaml]", "main.yaml:1:11: cannot include none.yaml: there is no such file"),
        ("include: [none.d/*.yaml]", "cannot include none.d/*.yaml: there is no folder none.d"),
        ("include: [main.yaml]", "files include each other: main.yaml -> main.yaml"),
        ("include: [a.yaml]", "a.yaml:1:1: files include each other: main.yaml -> a.yaml -> main.yaml"),
        ("include: [b.yaml]", "b.yaml:1:1: files include each other: b.yaml -> b.yaml"),
        ("include: [c.yaml, c.yaml]", "c.yaml is included a second time; main.yaml includes it too"),
        ("include: {a: b}", "include must be a file or a list of files"),
        ("include: [1]", "include[0] must be the name of a file"),
        ("include: list.yaml", "list.yaml:1:1: the file must be a mapping of sections"),
        ("include: binary.yaml", "byte 0 is not UTF-8"),
    ],
)
def test_what_cannot_be_included_is_told(files: Files, main: str, said: str) -> None:
    files.write(main=f"{main}\n{WEB}", a="include: main.yaml\n", b="include: b.yaml\n", c="metrics: {}\n", list="- 1\n")
    (files.root / "binary.yaml").write_bytes(b"\xff")
    found = files.problems()
    assert len(found) == 1
    assert said in found[0]


def test_a_text_carries_its_files_and_needs_them_no_more(files: Files) -> None:
    files.write(main="include: [sub/*.yaml]\n" + WEB.rstrip(), sub__a="services: {a: {comand: a}}", sub__b="{}\n")
    text = gather(files.root / "main.yaml", ("eu",))
    (files.root / "sub/a.yaml").unlink()
    (files.root / "sub/c.yaml").write_text("services: {c: {command: c}}")
    with pytest.raises(ConfigError) as caught:
        parse(text, "main.yaml", files.root, Around())
    assert f"{files.root}/sub/a.yaml:1:16: services.a: there is no key 'comand'" in str(caught.value)
    good = text.replace("comand", "command").replace("profiles: eu", "profiles:")
    assert set(parse(good, "main.yaml", files.root, Around()).services) == {"web", "a"}
    assert unpack(good).profiles == ()


def test_what_is_watched(files: Files) -> None:
    files.write(main="include: [sub/*.yaml]\n", sub__a=WEB)
    main = files.root / "main.yaml"
    assert set(watched(gather(main), main)) == {
        main, files.root / ".env", files.root / "sub/a.yaml", files.root, files.root / "sub"
    }  # fmt: skip


LINES = st.text(st.sampled_from("ab:- #\n"), max_size=20).map(lambda text: text and text + "\n")
NAMES = st.text(st.sampled_from("ab/."), min_size=1, max_size=6)


@given(LINES, st.dictionaries(NAMES, LINES, max_size=3), st.none() | st.lists(st.sampled_from("abc")).map(tuple))
def test_a_pack_comes_back(text: str, included: dict[str, str], profiles: tuple[str, ...] | None) -> None:
    made = Pack(text, included, profiles)
    assert unpack(pack(made)) == made
