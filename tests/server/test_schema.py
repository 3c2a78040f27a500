"""The served OpenAPI document, and requests made up from it: no 5xx, no status that it does not name."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

from affekt.server import Service, create_app
from tests.engines.small import engine

HEAVY = ("/v1/explain", "/v1/events/stream")
"""Hundreds of forwards, and a stream without end."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("schema")
    app = create_app(Service.of(engine(), database=f"sqlite:///{folder / 't.sqlite'}"))
    return schemathesis.openapi.from_asgi("/openapi.json", app).exclude(path=list(HEAVY))


def test_no_made_up_request_breaks_the_server(made: schemathesis.schemas.BaseSchema) -> None:
    routes = [result.ok() for result in made.get_all_operations()]
    assert len(routes) >= 12
    for route in routes:

        @given(case=route.as_strategy())
        @settings(
            max_examples=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        def asked(case: schemathesis.Case) -> None:
            if isinstance(case.body, dict):
                # Replies need not be long to be wrong.
                case.body = {**case.body, "max_tokens": 2, "max_completion_tokens": 2, "stream": False}
            case.call_and_validate(checks=[not_a_server_error, status_code_conformance])

        asked()


def test_the_document_names_what_affekt_adds(made: object) -> None:
    document = json.dumps(made.raw_schema)
    assert all(name in document for name in ("emotion_bias", "emotions", "policy"))
