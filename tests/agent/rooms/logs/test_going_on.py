"""A stream that goes on at the places of one that was cut off: each line once, wherever it was cut."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bhtui.agent.rooms.logs.places import Given, Mark
from bhtui.agent.rooms.logs.reading import Reading, Source
from bhtui.agent.rooms.logs.seeking import Engines
from bhtui.core.logs import LogsQuery
from tests.agent.rooms.logs.logmaker import START, Writer, line

SECOND = 10**9
ACTIONS = ["put", "put", "many", "part", "rotate", "back", "other", "new", "read", "read", "cut", "cut"]


class Host:
    """Instances that write, and one reader of them that is cut off now and then."""

    def __init__(self, folder, query):
        self.folder, self.query = folder, query
        self.writers = {}
        self.now, self.count, self.ends = START, 0, {}
        self.got, self.places = [], {}
        self.reading = None
        self.connect()

    def write(self, name, many=1, flag="F"):
        if name not in self.writers:
            self.writers[name] = Writer(self.folder / "api" / f"{name}.log")
        for _ in range(many):
            self.now += 1000
            self.writers[name].put(line(self.now, f"{self.count};", flag=flag))
            self.count += 1

    def sources(self):
        return [Source("api", name, writer.path) for name, writer in sorted(self.writers.items())]

    def connect(self):
        after = tuple(self.places.values())
        query = LogsQuery(follow=True, grep=self.query, after=after)
        self.reading = Reading(query, self.sources, lambda: self.now + SECOND, Engines(str).begin)

    def cut(self):
        self.reading.close()
        self.connect()

    def read(self):
        batch = self.reading.next()
        if batch is None:
            return False
        self.got += [(one.instance, one.message) for one in batch.lines]
        self.places |= {place.instance: place for place in batch.places}
        return bool(batch.lines) or not batch.caught_up

    def rest(self):
        self.cut()
        idle = 0
        for _ in range(1000):
            idle = 0 if self.read() or self.reading.has_more else idle + 1
            if idle == 3:  # lines stamped ahead of the clock wait for one round more
                return
        raise AssertionError("it has no end")


@settings(max_examples=150, deadline=None)
@example(spec=["put", "back", "cut", "put", "read"], grep="")
@given(spec=st.lists(st.sampled_from(ACTIONS), max_size=60), grep=st.sampled_from(["", "[02468];"]))
def test_every_line_once_however_often_it_is_cut_off(tmp_path_factory, spec, grep):
    host = Host(tmp_path_factory.mktemp("g"), grep)
    host.write("api-1")
    while host.read():
        """The history, of which no places are told."""
    for action in spec:
        match action:
            case "put" | "many":
                host.write("api-1", 300 if action == "many" else 1)
            case "part":
                host.write("api-1", 2, "P")
            case "rotate" | "back":
                host.now -= 3600 * SECOND if action == "back" else 0
                host.writers["api-1"].rotate()
            case "other" | "new":
                host.write("api-2" if action == "other" else f"api-{len(host.writers) + 2}")
            case "read":
                host.read()
            case "cut":
                host.cut()
    host.write("api-1")  # ends a line of which only parts were written
    host.rest()
    host.reading.close()
    numbers = [number for _, message in host.got for number in message.split(";")[:-1]]
    wanted = {number for number in numbers if not grep or int(number) % 2 == 0}
    assert len(numbers) == len(set(numbers))
    assert {str(number) for number in range(host.count) if not grep or number % 2 == 0} <= wanted


def test_a_place_moves_on_with_what_is_given_and_not_with_what_is_read():
    given_on = Given()
    first, second, third = (Mark(1, 5, offset) for offset in (0, 100, 200))
    assert given_on.place == (None, 0)
    given_on.read(["a", "b"], first, second)
    given_on.read(["c"], second, third)
    assert given_on.place == (first, 0)
    given_on.gave(1)
    assert given_on.place == (first, 1)
    given_on.gave(1)
    assert given_on.place == (second, 0)
    given_on.gave(1)
    assert given_on.place == (third, 0)


def test_within_a_long_line_the_place_stays_before_it():
    given_on = Given()
    first, second, third = (Mark(1, 5, offset) for offset in (0, 100, 200))
    given_on.read([], first, None)
    assert given_on.place == (first, 0)
    given_on.read(["a"], None, third)
    assert given_on.place == (first, 0)
    given_on.gave(1)
    assert given_on.place == (third, 0)
    assert second not in given_on.place


def test_what_another_stream_gave_is_left_out():
    given_on = Given()
    given_on.resume(3)
    assert given_on.place == (None, 3)
    assert given_on.read(["a", "b"], Mark(1, 5, 0), Mark(1, 5, 9)) == []
    assert given_on.place == (Mark(1, 5, 0), 3)
    assert given_on.read(["c", "d"], Mark(1, 5, 9), Mark(1, 5, 18)) == ["d"]
    assert given_on.place == (Mark(1, 5, 9), 1)
