"""Where instances are reached, and the words in which others are told."""

from bhtui.core.endpoint import Endpoint, address_of, ready_addresses, to_env, to_json, variable_of
from bhtui.core.spec import EndpointsSpec, ServiceSpec

TWO = (Endpoint("api-1", "127.0.0.1", 8080, True), Endpoint("api-2", "::1", 8081, False))


def test_addresses():
    assert [each.address for each in TWO] == ["127.0.0.1:8080", "[::1]:8081"]
    assert address_of(ServiceSpec("api", ("x",), ports=(80, 81), endpoints=EndpointsSpec("web-1"))) == "web-1:80"
    assert address_of(ServiceSpec("api", ("x",))) == ""


def test_only_what_is_ready_may_be_sent_anything():
    assert ready_addresses(TWO) == ("127.0.0.1:8080",)
    assert to_env("my-api", TWO) == "MY_API_ENDPOINTS=127.0.0.1:8080\n"
    assert to_env("api", ()) == "API_ENDPOINTS=\n"
    assert variable_of("my-api") == "MY_API_ENDPOINTS"


def test_the_json_that_others_read():
    found = to_json("api", TWO)
    assert found["ready"] == ["127.0.0.1:8080"]
    assert found["endpoints"][1] == {
        "instance": "api-2", "host": "::1", "port": 8081, "address": "[::1]:8081", "ready": False
    }  # fmt: skip
