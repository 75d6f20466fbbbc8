from bhtui.console.sources.lines import counted, selected
from bhtui.rpc.blackhole.v1 import logs_pb2

LINES = [
    logs_pb2.LogLine(
        time_ns=n * 10**9, service="api", instance=f"api-{1 + n % 2}", level=level, message=f"n={n} {level}"
    )
    for n, level in enumerate(["info", "error", "", "warning", "debug", "error"])
]


def numbers(**request: object) -> list[int]:
    return [line.time_ns // 10**9 for line in selected(reversed(LINES), logs_pb2.LogsRequest(**request))]


def test_a_recording_answers_as_a_host_would():
    assert numbers() == [0, 1, 2, 3, 4, 5]
    assert numbers(names=["api-2"]) == [1, 3, 5]
    assert numbers(since_ns=2 * 10**9, until_ns=4 * 10**9) == [2, 3]
    assert numbers(level="warning") == [1, 3, 5]
    assert numbers(grep="ERROR", ignore_case=True, invert=True) == [0, 2, 3, 4]
    assert numbers(fields=["n>=4"]) == [4, 5]
    assert numbers(tail=2) == [4, 5]


def test_it_counts_them():
    counts = counted(LINES, logs_pb2.CountLogsRequest(query=logs_pb2.LogsRequest(level="error"), most=10))
    assert counts.done
    assert [(one.level, one.start_ns, one.lines) for one in counts.counts] == [
        ("error", 10**9, 1),
        ("error", 5 * 10**9, 1),
    ]
    assert not counted([], logs_pb2.CountLogsRequest()).counts
