"""A server in a process of its own for a module's commands, and the command line in this one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from tests.cli.other_servers import Other
from tests.cli.processes import KEY, Server, started


class CommandLine:
    """Runs commands against a server, as its admin where nothing else is said."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.key = server, folder, KEY.search(server.said)[0]

    def __call__(self, *arguments: str, stdin: str | bytes | None = None, **environment: str | None) -> Result:
        settings = {"URL": self.server.url, "API_KEY": self.key} | environment
        named = {f"INCIDENT_MANAGER_{name}": value for name, value in settings.items()}
        result = CliRunner().invoke(main, [*arguments], input=stdin, env=named)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments: str, **more: str | bytes | None) -> Any:
        result = self(*arguments, **more)
        assert result.exit_code == 0, result.stderr
        return msgspec.json.decode(result.stdout)

    def table(self, *arguments: str) -> str:
        result = self("--output", "table", *arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    folder = tmp_path_factory.mktemp("served")
    with started(folder, "--port", "0") as server:
        yield CommandLine(server.wait_until_serving(), folder)


@pytest.fixture
def other() -> Iterator[Other]:
    """A server that is not ours."""
    server = Other()
    yield server
    server.stop()
