"""What HTTP outputs make of what servers say, and that they tell nobody a secret."""

from __future__ import annotations

import base64
import json
import os

import pytest

from bhtui.agent.rooms.logs.outputs.model import TAKEN, Outcome, Rejected, SinkDown
from bhtui.agent.rooms.logs.outputs.sinks import Around
from bhtui.agent.rooms.logs.outputs.sinks.elasticsearch import ElasticsearchSink
from bhtui.agent.rooms.logs.outputs.sinks.loki import LokiSink
from tests.ports import free_port

from .lines import record
from .receivers import ElasticReceiver, LokiReceiver
from .test_sinks import authority

AROUND = Around("web-1", "1.0")


@pytest.fixture
def elastic():
    made = ElasticReceiver()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def loki():
    made = LokiReceiver()
    made.start()
    yield made
    made.stop()


def to(receiver, **options):
    return ElasticsearchSink({"addresses": [receiver.address], "index": "logs", **options}, AROUND)


def test_each_item_has_its_own_fate(elastic):
    statuses = {"n 1": 201, "n 2": 429, "n 3": 400, "n 4": 503, "n 5": 403, "n 6": 422}
    elastic.item_status = lambda document: statuses[document["message"]]
    outcome = to(elastic).send([record(number) for number in range(1, 7)])
    why = "some_exception: as the test says"
    assert outcome == Outcome(((2, f"400 {why}"), (5, f"422 {why}")), (1, 3, 4), f"429 {why}")


def test_a_line_that_is_sent_twice_is_there_once(elastic):
    sink = to(elastic)
    assert sink.send([record(1), record(2)]) == TAKEN
    assert sink.send([record(2), record(3)]) == TAKEN
    assert [document["message"] for document in elastic.documents.values()] == ["n 1", "n 2", "n 3"]


def test_a_document_and_its_index(elastic):
    sink = to(elastic, index="logs-{service}-%Y.%m.%d", labels={"env": "test"}, pipeline="a b")
    sink.send([record(7, "x", level="warning")])
    (((index, _), document),) = elastic.documents.items()
    assert index == "logs-api-2026.01.02"
    assert document == {
        "@timestamp": "2026-01-02T03:04:05.000000000Z", "message": "x", "log": {"offset": 70, "level": "warning"},
        "service": {"name": "api", "node": {"name": "api-1"}}, "host": {"name": "web-1"}, "stream": "stdout",
        "labels": {"env": "test"},
    }  # fmt: skip
    assert elastic.requests[0][0].endswith("&pipeline=a%20b")
    assert elastic.requests[0][1]["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503])
def test_what_is_not_about_the_lines_is_tried_again(elastic, status):
    elastic.refuse = lambda path, body: (status, {"Retry-After": "7"}, b"not now")
    with pytest.raises(SinkDown, match=f"says {status} .*: not now") as error:
        to(elastic).send([record()])
    assert error.value.retry_after == 7


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_about_the_body_is_refused(elastic, loki, status):
    elastic.refuse = loki.refuse = lambda path, body: (status, {}, b"no")
    with pytest.raises(Rejected, match=f"{status}: no"):
        to(elastic).send([record()])
    with pytest.raises(Rejected, match=f"{status}: no"):
        LokiSink({"address": loki.address}, AROUND).send([record()])


@pytest.mark.parametrize("body", [b"<html>hello</html>", b'{"errors":true}', b'{"errors":true,"items":[]}', b"[]"])
def test_what_is_no_elasticsearch_is_not_believed(elastic, body):
    elastic.refuse = lambda path, _: (200, {}, body)
    with pytest.raises(SinkDown):
        to(elastic).send([record()])


def test_the_next_server_is_tried(elastic):
    sink = ElasticsearchSink(
        {"addresses": [f"http://127.0.0.1:{free_port()}", elastic.address], "index": "logs"}, AROUND
    )
    with pytest.raises(SinkDown):
        sink.send([record()])
    assert sink.send([record()]) == TAKEN


def test_a_connection_that_was_closed_while_idle_is_no_fault(elastic):
    sink = to(elastic)
    sink.send([record(1)])
    sink._client._connection.sock.shutdown(2)
    assert sink.send([record(2)]) == TAKEN


def test_bodies_are_compressed_unless_told_otherwise(elastic):
    records = [record(number, "x" * 200) for number in range(100)]
    to(elastic).send(records)
    to(elastic, compress=False).send(records)
    assert [request[1].get("Content-Encoding") for request in elastic.requests] == ["gzip", None]


def test_streams_of_loki(loki):
    sink = LokiSink({"address": f"{loki.address}/", "tenant": "team", "labels": {"env": "test"}}, AROUND)
    sink.send([record(1, level="error"), record(2, stream="stderr"), record(3, level="error")])
    common = {"job": "blackhole", "host": "web-1", "env": "test", "service": "api", "instance": "api-1"}
    assert {stream: [text for _, text in values] for stream, values in loki.streams.items()} == {
        tuple(sorted({**common, "stream": "stdout", "level": "error"}.items())): ["n 1", "n 3"],
        tuple(sorted({**common, "stream": "stderr"}.items())): ["n 2"],
    }
    assert loki.requests[0][1]["X-Scope-OrgID"] == "team"


def test_secrets_come_from_files_and_variables(elastic, tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text("hush\n")
    monkeypatch.setenv("A_TOKEN", "tok")
    pair = base64.b64encode(b"me:hush").decode()
    for options, expected in (
        ({"username": "me", "password_file": str(file)}, f"Basic {pair}"),
        ({"api_key_file": str(file)}, "ApiKey hush"),
        ({"bearer_token_env": "A_TOKEN"}, "Bearer tok"),
    ):
        to(elastic, **options).send([record()])
        assert elastic.requests[-1][1]["Authorization"] == expected


def test_a_secret_that_was_changed_is_read_again(elastic, tmp_path):
    file = tmp_path / "secret"
    file.write_text("old")
    sink = to(elastic, api_key_file=str(file))
    sink.send([record()])
    file.write_text("new")
    sink.send([record()])
    assert [request[1]["Authorization"] for request in elastic.requests] == ["ApiKey old", "ApiKey new"]


@pytest.mark.parametrize("content", [None, b"", b"two\nhush lines", b"\xff\xfe hush"])
def test_a_secret_that_cannot_be_had_is_named_and_not_shown(elastic, tmp_path, content):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SinkDown, match="api_key_file") as error:
        to(elastic, api_key_file=str(file)).send([record()])
    assert "hush" not in str(error.value)
    with pytest.raises(SinkDown, match="no variable NOT_THERE"):
        to(elastic, api_key_env="NOT_THERE").send([record()])
    assert "NOT_THERE" not in os.environ


def test_a_header_that_cannot_be_sent_is_no_crash_and_no_secret(elastic, tmp_path):
    file = tmp_path / "secret"
    file.write_text("hush-\u2603")
    with pytest.raises(SinkDown, match="signs that HTTP cannot carry") as error:
        to(elastic, bearer_token_file=str(file)).send([record()])
    assert "hush" not in str(error.value)
    with pytest.raises(SinkDown, match="signs that HTTP cannot carry"):
        LokiSink({"address": elastic.address, "tenant": "a\nb: c"}, AROUND).send([record()])


def test_a_server_that_nobody_vouches_for_gets_nothing(tmp_path):
    context, trust = authority(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, stranger = authority(other)
    receiver = ElasticReceiver(context)
    receiver.start()
    with pytest.raises(SinkDown, match=r"cannot trust .*tls\.ca_file"):
        to(receiver, tls=stranger).send([record()])
    with pytest.raises(SinkDown, match="cannot trust"):
        to(receiver, tls={"verify": True}).send([record()])
    with pytest.raises(SinkDown, match="cannot use the certificates"):
        to(receiver, tls={"verify": True, "ca_file": str(tmp_path / "nothing.pem")}).send([record()])
    assert receiver.requests == []
    assert to(receiver, tls={"verify": False}).send([record()]) == TAKEN
    assert to(receiver, tls=trust).send([record()]) == TAKEN
    receiver.stop()


def test_documents_are_what_the_client_library_writes(elastic):
    """The same action and document, written by the library and by us, are the same bytes to a server."""
    from elasticsearch.helpers.actions import expand_action
    from elasticsearch.serializer import NdjsonSerializer

    to(elastic, compress=False).send([record(number, "grüße \x01", level="info") for number in range(20)])
    body = elastic.requests[0][2]
    lines = [json.loads(line) for line in body.splitlines()]
    library = NdjsonSerializer()
    again = []
    for action, document in zip(lines[::2], lines[1::2], strict=True):
        ours = {"_op_type": "create", **action["create"], "_source": document}
        again += list(expand_action(ours))
    assert [json.loads(line) for line in library.dumps(again).splitlines()] == lines
