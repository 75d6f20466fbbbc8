"""Whatever was declared comes back from what was kept of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhtui.core.codec import CodecError, decode, encode, shape
from bhtui.core.spec import LimitsSpec, ProbeKind, ProbeSpec, ServiceSpec, Spec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 60), 1 << 60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
SPECS = st.builds(Spec, sections=st.dictionaries(st.text(max_size=5), JSON, max_size=3))


@settings(max_examples=60)
@given(SPECS)
def test_a_spec_comes_back_from_its_text(spec: Spec) -> None:
    assert decode(Spec, json.loads(json.dumps(encode(spec)))) == spec


def test_what_is_by_default_takes_no_room() -> None:
    assert encode(ProbeSpec()) == {}
    assert encode(ProbeSpec(kind=ProbeKind.TCP, target="a:1")) == {"kind": "tcp", "target": "a:1"}


def test_what_is_not_compared_is_kept_too() -> None:
    service = ServiceSpec("web", ("sleep",), hidden=("environment.DB",))
    assert decode(ServiceSpec, encode(service)).hidden == ("environment.DB",)


@pytest.mark.parametrize(
    ("hint", "data"),
    [
        (Spec, []),
        (Spec, {"services": {"web": {"name": "web"}}}),
        (Spec, {"servces": {}}),
        (ProbeSpec, {"kind": "smell"}),
        (ProbeSpec, {"retries": "3"}),
        (ProbeSpec, {"retries": True}),
        (LimitsSpec, {"memory": 1.5}),
        (tuple[int, int], [1]),
        (tuple[int, ...], "12"),
        (Mapping[str, int], [1]),
        (NoneType | int, "x"),
    ],
)
def test_what_has_another_shape_is_refused(hint: Any, data: Any) -> None:
    with pytest.raises(CodecError):
        decode(hint, data)


def test_only_plain_values_are_kept() -> None:
    with pytest.raises(CodecError, match="a set cannot be kept"):
        encode({"a": {1, 2}})


def test_the_shape_is_another_when_anything_in_it_is() -> None:
    @dataclass(frozen=True)
    class One:
        count: int = 1
        inner: Mapping[str, ProbeSpec] = field(default_factory=dict)

    @dataclass(frozen=True)
    class Other:
        count: int = 2
        inner: Mapping[str, ProbeSpec] = field(default_factory=dict)

    globals().update(One=One, Other=Other)
    assert shape(One) != shape(Other)
    assert shape(Spec) == shape(Spec) != shape(ServiceSpec)
    assert replace(One(), count=2) == decode(One, {"count": 2})
