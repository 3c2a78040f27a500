from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from affekt.server.store import Database
from tests.server.postgres import BINARIES, Postgres, postgres_server
from tests.server.running import Running, running


@pytest.fixture(scope="session")
def postgres_machine() -> Iterator[Postgres]:
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed")
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_machine: Postgres) -> str:
    """The URL of an empty database."""
    opened = Database(postgres_machine.url)
    with opened.session() as session:
        session.execute(text("DROP SCHEMA public CASCADE"))
        session.execute(text("CREATE SCHEMA public"))
    opened.close()
    return postgres_machine.url


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("server")) as here:
        yield here
