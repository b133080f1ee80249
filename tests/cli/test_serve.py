"""Servers as processes: how they start, what they refuse, how they stop. On both databases."""

import asyncio
import fcntl
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import httpx2
import pytest

from cli import server as serving
from incident_manager.settings import Settings, load
from tests.cli.database import first_start, rows
from tests.cli.forwarder import Forwarder
from tests.cli.processes import KEY, Server, finished, started, until
from tests.make import alert

CLIENTS = 8
SECRET = "0123456789abcdef0123456789abcdef"


def http(server: Server) -> httpx2.Client:
    key = KEY.search(server.said)[0]
    return httpx2.Client(base_url=server.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def test_the_first_start_shows_a_key_that_works_and_the_second_none(empty_database_url: str, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", "data", "--database-url", empty_database_url)
    with started(tmp_path, *arguments) as server, http(server.wait_until_serving()) as client:
        assert client.get("/v1/keys").status_code == 200
        shown = KEY.search(server.said)[0]
        assert server.stop() == 0
    assert (tmp_path / "data/admin.key").read_text().strip() == shown
    files = [tmp_path / "data/admin.key", tmp_path / "data/secret.key"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600, 0o600]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    with started(tmp_path, *arguments) as server:
        server.wait_until_serving()
        assert "im_" not in server.said


def test_two_first_starts_at_once_make_one_tenant_and_one_key(empty_database_url: str, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data-dir", "data", "--database-url", empty_database_url)
    with started(tmp_path, *arguments) as one, started(tmp_path, *arguments) as other:
        one.wait_until_serving()
        other.wait_until_serving()
    assert (one.said + other.said).count("im_") == 1
    found = rows(empty_database_url, "SELECT (SELECT count(*) FROM tenants), (SELECT count(*) FROM api_keys)")
    assert found == [(1, 1)]
    assert (tmp_path / "data/admin.key").read_text().strip() in one.said + other.said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_was_asked_for_is_no_error(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "--port", "0") as server:
        server.wait_until_serving()
        assert (server.stop(number), server.errors.count("\n")) == (0, 1)  # the line about the new schema


def test_a_stop_under_load_keeps_every_acknowledged_alert(empty_database_url: str, tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0", "--database-url", empty_database_url) as server:
        server.wait_until_serving()
        acknowledged = asyncio.run(post_until_it_stops(server))
        stopping = time.monotonic()
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - stopping < 10
        assert "ERROR" not in server.errors
    stored = {str(id_).replace("-", "") for (id_,) in rows(empty_database_url, "SELECT id FROM alerts")}
    assert len(acknowledged) >= 100
    assert acknowledged <= stored


async def post_until_it_stops(server: Server) -> set[str]:
    """Post from 8 clients, tell the server to stop after 100 answers, and again; return the ids of what it confirmed."""
    acknowledged: set[str] = set()
    headers = {"Authorization": f"Bearer {KEY.search(server.said)[0]}"}

    async def post(client: httpx2.AsyncClient, number: int) -> None:
        with suppress(httpx2.TransportError):
            for count in range(100_000):
                answer = await client.post("/v1/alerts", json=alert(title=f"problem {number} {count % 7}"))
                assert answer.status_code in {200, 201}, answer.text
                acknowledged.add(answer.json()["alert_id"].replace("-", ""))
                if len(acknowledged) in {100, 101}:
                    server.process.send_signal(signal.SIGTERM)

    async with httpx2.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=20) as client:
        await asyncio.gather(*(post(client, number) for number in range(CLIENTS)))
    return acknowledged


def test_a_request_under_way_is_answered_after_the_signal(tmp_path: Path) -> None:
    body = b'{"source": "a", "title": "under way"}'
    with started(tmp_path, "--port", "0") as server, connected(server.wait_until_serving()) as connection:
        head = f"POST /v1/alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY.search(server.said)[0]}\r\n"
        rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall((head + rest).encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not listens(server), "it stops listening")
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")
        assert server.process.wait(timeout=20) == 0


def test_a_request_that_never_ends_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    with (
        started(tmp_path, "--port", "0", server__stop_seconds="1") as server,
        connected(server.wait_until_serving()) as connection,
    ):
        connection.sendall(b"POST /v1/alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n")
        key = KEY.search(server.said)[0]
        connection.sendall(f"Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        assert server.stop() == 0


@contextmanager
def waiting(folder: Path, *arguments: str) -> Iterator[tuple[Server, TextIO]]:
    """Start a server whose start waits for another one's: for the lock, which goes when the file is closed."""
    lock = folder / "incidents.db.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with started(folder, "--data-dir", str(folder), *arguments) as server:
            until(lambda: opened(server, lock), "it waits for the lock")
            yield server, held


def test_a_signal_ends_a_start_that_waits_for_another_one(tmp_path: Path) -> None:
    with waiting(tmp_path, "--port", "0") as (server, _):
        assert server.stop() == 0
        assert "Serving" not in server.said


def test_of_two_that_took_one_port_the_one_that_listens_later_is_refused(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        with waiting(tmp_path, "--port", str(other.getsockname()[1])) as (server, held):
            other.listen()
            held.close()
            assert server.process.wait(timeout=20) == 1
        assert server.errors.splitlines()[-1].startswith(
            "incident-manager: server.port: cannot listen on http://127.0.0.1:"
        )


def opened(server: Server, file: Path) -> bool:
    descriptors = Path(f"/proc/{server.process.pid}/fd").iterdir()
    with suppress(FileNotFoundError):
        return any(descriptor.readlink() == file for descriptor in descriptors)
    return False


def connected(server: Server) -> socket.socket:
    return socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=20)


def listens(server: Server) -> bool:
    try:
        connected(server).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"auth__secret": "short"}, "auth.secret: must be 32 bytes or more, is 5"),
        ({"server__prot": "1"}, "unknown key server.prot"),
        ({"auth__enabled": "false", "server__host": "0.0.0.0"}, "auth.enabled: may be false only while"),
        ({"server__workers": "2"}, "server.workers: more than 1 needs PostgreSQL"),
        ({"server__port": "http"}, "server.port: must be"),
        ({"server__host": "no.such.host.invalid"}, "cannot listen on no.such.host.invalid"),
        ({"database__url": "postgresql://nobody@127.0.0.1:1/none"}, "127.0.0.1"),
        ({"database__migrate": "false"}, "run `incident-manager db upgrade`"),
        ({"database__url": "sqlite:////proc/none/incidents.db"}, "/proc/none"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_it_refuses_is_one_line(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    refused = finished(tmp_path, "serve", "--port", "0", **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    [line] = refused.stderr.splitlines()
    assert line.startswith("incident-manager: ")
    assert words in line


@pytest.mark.parametrize(("given", "words"), [(None, "there is none"), (SECRET, "is not the secret")])
def test_a_database_of_another_secret_is_refused_in_one_line(
    settings: Settings, tmp_path: Path, given: str | None, words: str
) -> None:
    first_start(settings)
    (settings.data_dir / "secret.key").unlink()
    place = ("--data-dir", settings.server.data_dir, "--database-url", settings.database_url)
    refused = finished(tmp_path, "serve", "--port", "0", *place, **({"auth__secret": given} if given else {}))
    [line] = refused.stderr.splitlines()
    assert (refused.returncode, words in line) == (1, True)


def test_a_port_that_is_taken_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = finished(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 1
    assert "Address already in use" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_links_carry_the_port_that_was_taken(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0") as server, http(server.wait_until_serving()) as client:
        made = client.post("/v1/integrations", json={"name": "am", "monitor": "alertmanager"})
        assert made.json()["url"].startswith(f"{server.url}/v1/integrations/alertmanager/")
        assert "server" not in made.headers


def test_flags_win_over_the_environment(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0", "--data-dir", "here", server__data_dir="there") as server:
        server.wait_until_serving()
    assert (tmp_path / "here/incidents.db").exists()
    assert not (tmp_path / "there").exists()


def test_localhost_is_served_on_the_loopback_that_people_type(tmp_path: Path) -> None:
    with started(tmp_path, "--port", "0", "--host", "localhost") as server:
        port = urlsplit(server.wait_until_serving().url).port
        socket.create_connection(("127.0.0.1", port), timeout=20).close()


@pytest.mark.parametrize(("proxies", "believes"), [([], False), (["10.0.0.1"], True)])
def test_only_named_proxies_are_believed(proxies: list[str], believes: bool) -> None:
    config = serving._config(None, load({"server.trusted_proxies": proxies}))
    assert (config.proxy_headers, config.forwarded_allow_ips) == (believes, proxies)


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_workers_share_the_address_and_stop_together(empty_database_url: str, tmp_path: Path) -> None:
    arguments = ("--port", "0", "--workers", "2", "--database-url", empty_database_url)
    with started(tmp_path, *arguments) as server, http(server.wait_until_serving()) as client:
        assert "with 2 workers" in server.said
        assert client.post("/v1/alerts", json=alert()).status_code == 201
        made = client.post("/v1/integrations", json={"name": "am", "monitor": "alertmanager"})
        assert made.json()["url"].startswith(server.url)
        assert server.stop() == 0
    assert server.said.count("im_") == 1
    assert rows(empty_database_url, "SELECT count(*) FROM alerts") == [(1,)]


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_workers_are_not_started_where_the_start_is_refused(empty_database_url: str, tmp_path: Path) -> None:
    arguments = ("serve", "--port", "0", "--workers", "2", "--no-migrate", "--database-url", empty_database_url)
    refused = finished(tmp_path, *arguments)
    [line] = refused.stderr.splitlines()
    assert (refused.returncode, "db upgrade" in line) == (1, True)


WITHOUT_APPLICATION = (
    "import cli.main, cli.server, sys\ncli.server._APPLICATION = 'no.such:app'\n"
    "if __name__ == '__main__':\n    cli.main.run()\n"
)


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_a_worker_that_cannot_start_ends_them_all(empty_database_url: str, tmp_path: Path) -> None:
    command = (sys.executable, "-c", WITHOUT_APPLICATION, "serve")
    arguments = ("--port", "0", "--workers", "2", "--database-url", empty_database_url)
    with started(tmp_path, *arguments, command=command) as server:
        assert server.process.wait(timeout=60) == 1
        assert "Serving" not in server.process.stdout.read()
        assert server.errors.splitlines()[-1] == "incident-manager: a worker did not start; what it said stands above"


UVICORN = (sys.executable, "-m", "uvicorn", "incident_manager.asgi:app", "--port", "0")


def test_any_asgi_server_can_serve_it(tmp_path: Path) -> None:
    with started(tmp_path, command=UVICORN) as server:
        assert server.process.stdout is not None
        assert KEY.search(server.process.stdout.readline())  # at once, though standard output is a pipe
        until(lambda: "Uvicorn running on" in server.errors, "it serves")


@pytest.mark.parametrize("settings", [{"auth__secret": "short"}, {"database__migrate": "false"}])
def test_under_any_asgi_server_a_refusal_is_said_in_words(tmp_path: Path, settings: dict[str, str]) -> None:
    with started(tmp_path, command=UVICORN, **settings) as server:
        assert server.process.wait(timeout=20) != 0
        assert "incident-manager: " in server.errors
        assert "Traceback" not in server.errors


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("trouble", [Forwarder.cut, Forwarder.go_quiet])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_database_that_has_gone_does_not_keep_it_from_stopping(
    empty_database_url: str, tmp_path: Path, trouble: Callable[[Forwarder], None], workers: str
) -> None:
    way = Forwarder(empty_database_url)
    arguments = ("--port", "0", "--workers", workers, "--database-url", way.url)
    with started(tmp_path, *arguments) as server, http(server.wait_until_serving()) as client:
        assert client.post("/v1/alerts", json=alert()).status_code == 201  # it holds incident numbers now, to give back
        trouble(way)
        stopping = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - stopping < 10
    way.cut()
