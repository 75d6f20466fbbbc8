import re

import pytest

from bhtui.core.patterns import INVALID


@pytest.mark.parametrize(
    "written", ["(", "a{99999999999}", "a{" + "9" * 5000 + "}", "(" * 5000 + ")" * 5000], ids=lambda text: text[:12]
)
def test_what_is_no_pattern_is_known_as_such(written):
    with pytest.raises(INVALID):
        re.compile(written)
