"""Microsoft's client, led to another address; and its objects as plain data."""

import json
from typing import Any

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.serialization import Parsable
from kiota_serialization_json.json_serialization_writer import JsonSerializationWriter
from msgraph_beta import GraphRequestAdapter, GraphServiceClient
from msgraph_beta.generated.models.o_data_errors.o_data_error import ODataError

Json = Any


class _Name(AccessTokenProvider):
    """A token that is a name, as the embedded Graph takes it."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def get_authorization_token(self, uri: str, additional_authentication_context: Json = None) -> str:
        return self._name

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["127.0.0.1"])


def client(url: str, identity: str = "local") -> GraphServiceClient:
    """Microsoft's client for the Graph at an address, in somebody's name."""
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(_Name(identity)))
    adapter.base_url = url
    return GraphServiceClient(request_adapter=adapter)


def asking(parameters: object = None, **headers: str) -> RequestConfiguration:
    """How to ask: query parameters of the client's own class, and headers; ``_`` stands for ``-`` in their names."""
    configuration = RequestConfiguration(query_parameters=parameters)
    for name, value in headers.items():
        configuration.headers.add(name.replace("_", "-"), value)
    return configuration


def plain(found: Parsable) -> dict[str, Json]:
    """An object of the client's as it would be sent whole."""
    writer = JsonSerializationWriter()
    found.serialize(writer)
    whole: dict[str, Json] = json.loads(writer.get_serialized_content())
    return whole


def error_of(error: ODataError) -> dict[str, Json]:
    """What the client has understood of a refusal."""
    main = error.error
    inner = main.inner_error if main is not None else None
    return {
        "status": error.response_status_code,
        "code": main.code if main is not None else None,
        "message": main.message if main is not None else None,
        "ids": sorted(key for key in ("date", "request_id", "client_request_id") if getattr(inner, key, None)),
        "approvalCode": (error.response_headers or {}).get("x-msft-approval-code"),
    }
