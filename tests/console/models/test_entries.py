"""Kept lines by column: merging is sorting, however many come late."""

from hypothesis import given
from hypothesis import strategies as st

from bhtui.console.models.entries import Entries, Entry

TIMES = st.lists(st.lists(st.integers(0, 30), max_size=60), max_size=6)


def made(times: list[int], first: int) -> list[Entry]:
    return sorted(Entry(time, first + n, "web", f"api-{n % 3}", n % 7, str(n)) for n, time in enumerate(times))


@given(TIMES, st.booleans())
def test_a_merge_is_a_sort(blocks, older):
    kept, all_of_them = Entries(), []
    for number, times in enumerate(blocks):
        new = made(times, -1000 * number if older else 1000 * number)
        kept.merge(Entries.of(new))
        all_of_them = sorted(all_of_them + new)
        assert kept == all_of_them
    assert [kept.before(*entry[:2]) for entry in all_of_them] == list(range(len(all_of_them)))
    kept.drop(len(all_of_them) // 2)
    assert kept == all_of_them[len(all_of_them) // 2 :]
    assert kept[-1:] == all_of_them[len(all_of_them) // 2 :][-1:]


def test_a_copy_is_of_its_moment():
    kept = Entries.of(made([1, 2, 3], 0))
    copy = kept.copy()
    kept.merge(Entries.of(made([2], 10)))
    assert (len(kept), len(copy)) == (4, 3)
