"""`db backup` beside a server that takes alerts, and a server started from what it wrote. On both engines."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest

from incident_manager import migrate
from tests import make
from tests.backups import Recorder, empty_place_beside, restore, use_postgres_programs
from tests.cli.database import rows
from tests.cli.processes import COMMAND, Server, environment, finished, started, until

WRITERS = 8
FIRST = {"Idempotency-Key": "the first delivery"}
SECRET = "0123456789abcdef0123456789abcdef"
RESOLVED = {"resolved_by": "ada", "notes": "logs rotated"}


@pytest.fixture
def url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database whose engine's programs are there."""
    use_postgres_programs(monkeypatch, database_url)
    return database_url


# --- backup while writing, restore, start ---------------------------------------------------------------------------------


def test_a_server_started_from_a_backup_knows_all_that_was_acknowledged_before_it(url: str, tmp_path: Path) -> None:
    with serving(tmp_path / "one", url) as client:
        story = lived_through(client)
        told = views(client)
        with posting(client) as acknowledged:
            until(lambda: len(acknowledged) >= 5 * WRITERS, "eight writers at work")
            before = set(acknowledged)
            made = backed_up(tmp_path / "one", url)
            assert len(acknowledged) > len(before)
    assert (made.returncode, made.stdout) == (0, "")
    with empty_place_beside(url) as place, restored(tmp_path, place) as client:
        assert views(client, among=told) == told
        assert before <= alerts(place)
        assert client.post("/v1/alerts", json=story["body"], headers=FIRST).json() == story["answer"]
        again = client.post("/v1/alerts", json=story["body"]).json()
        assert (again["incident_id"], again["reason"]) == (story["answer"]["incident_id"], "within_window")
        assert_no_alert_is_half_in(place)


# --- the command ----------------------------------------------------------------------------------------------------------


def test_what_was_written_and_what_to_keep_with_it_is_said(url: str, tmp_path: Path) -> None:
    made = backed_up(tmp_path, url)
    size = (tmp_path / "file").stat().st_size
    assert made.stderr.splitlines() == [
        f"wrote {tmp_path}/file: {size:,} bytes, schema {migrate.head()}",
        "keep auth.secret (data/secret.key) as well, in another place: no server starts from this backup without it",
    ]


def test_a_secret_from_elsewhere_is_named_without_a_file(url: str, tmp_path: Path) -> None:
    made = backed_up(tmp_path, url, auth__secret=SECRET)
    assert "keep auth.secret as well" in made.stderr
    assert SECRET not in made.stdout + made.stderr


def test_what_is_there_is_replaced_on_demand_only(url: str, tmp_path: Path) -> None:
    backed_up(tmp_path, url)
    refused = finished(tmp_path, "db", "backup", "file", "--database-url", url)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"incident-manager: {tmp_path}/file: is there already; --force replaces it\n"
    assert backed_up(tmp_path, url, "--force").returncode == 0


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    refused = finished(tmp_path, "db", "backup", "file")
    assert (refused.returncode, "there is no database at data/incidents.db" in refused.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_the_database_is_the_database(tmp_path: Path) -> None:
    finished(tmp_path, "db", "upgrade")
    (tmp_path / "link").symlink_to("data/incidents.db")
    refused = finished(tmp_path, "db", "backup", "--force", "link")
    assert (refused.returncode, "is the database's own file" in refused.stderr) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whoever_is_told_to_stop_leaves_nothing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    pg_dump = Recorder(tmp_path / "bin", monkeypatch)
    pg_dump.does("import time", "open(f'{keep}/begun', 'w').write(str(os.getpid()))", "time.sleep(60)")
    command = [*COMMAND, "db", "backup", "file", "--database-url", database_url]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), text=True, **pipes) as process:
        until((tmp_path / "bin/begun").exists, "pg_dump at work")
        process.send_signal(number)
        _, said = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in said) == (1, False)
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
    assert not Path("/proc", (tmp_path / "bin/begun").read_text()).exists()


def lived_through(client: httpx2.Client) -> dict[str, Any]:
    """Let something of everything happen; return the first delivery and its answer."""
    body = make.alert(severity="P2", labels={"host": "db-1"}, affected_services=["shop"])
    answer = client.post("/v1/alerts", json=body, headers=FIRST)
    assert answer.status_code == 201
    client.post("/v1/incidents/1/acknowledge", json={"by": "ada"})
    client.post("/v1/incidents/1/notes", json={"content": "looking"})
    ended = client.post("/v1/alerts", json=make.alert(title="Ended")).json()["incident_id"]
    client.post(f"/v1/incidents/{ended}/resolve", json=RESOLVED)
    client.post("/v1/incidents", json=make.incident())
    client.post("/v1/integrations", json={"name": "prod", "monitor": "alertmanager"})
    return {"body": body, "answer": answer.json()}


def views(client: httpx2.Client, among: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the API tells of each incident (or of some), its timeline and its alerts, and of the rest."""
    numbers = among or {str(one["number"]): one for one in client.get("/v1/incidents").json()["incidents"]}
    found = {number: "" for number in numbers if number.isdigit()}
    for number in found:
        paths = (f"/v1/incidents/{number}{rest}" for rest in ("", "/timeline", "/alerts"))
        found[number] = "\n".join(client.get(path).text for path in paths)
    return found | {"integrations": client.get("/v1/integrations").text, "keys": keys(client)}


def keys(client: httpx2.Client) -> Any:
    return [(key["id"], key["name"], key["role"]) for key in client.get("/v1/keys").json()["keys"]]


def alerts(url: str) -> set[str]:
    return {str(id_).replace("-", "") for (id_,) in rows(url, "SELECT id FROM alerts")}


def assert_no_alert_is_half_in(url: str) -> None:
    """An alert and its count are committed together; what was opened by hand counts as one."""
    by_hand = "SELECT id FROM incidents WHERE source = 'desk'"
    [(stored,)] = rows(url, f"SELECT count(*) FROM (SELECT id FROM alerts UNION ALL {by_hand}) AS counted")
    assert rows(url, "SELECT sum(occurrences) FROM incidents") == [(stored,)]


@contextmanager
def posting(client: httpx2.Client) -> Iterator[list[str]]:
    """Post alerts from eight threads, repeats among them, and yield the ids of those that the server has acknowledged."""
    acknowledged: list[str] = []
    stop = Event()

    def post(writer: int) -> None:
        for count in range(100_000):
            if stop.is_set():
                return
            answer = client.post("/v1/alerts", json=make.alert(title=f"storm {writer} {count // 3}"))
            assert answer.status_code in {200, 201}, answer.text
            acknowledged.append(answer.json()["alert_id"].replace("-", ""))

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(post, writer) for writer in range(WRITERS)]
        try:
            yield acknowledged
        finally:
            stop.set()
        for writer in writers:
            writer.result()


def backed_up(folder: Path, url: str, *more: str, **settings: str) -> subprocess.CompletedProcess[str]:
    made = finished(folder, "db", "backup", "file", "--database-url", url, *more, **settings)
    assert made.returncode == 0, made.stderr
    return made


@contextmanager
def serving(folder: Path, url: str) -> Iterator[httpx2.Client]:
    with started(folder, "--port", "0", "--database-url", url) as server:
        yield from _asking(server.wait_until_serving(), folder)


@contextmanager
def restored(tmp_path: Path, place: str) -> Iterator[httpx2.Client]:
    """Start a server in a new folder from the backup and the secret alone; the admin still has the key."""
    restore(tmp_path / "one/file", place)
    folder = tmp_path / "two"
    (folder / "data").mkdir(parents=True)
    for name in ("secret.key", "admin.key"):
        shutil.copy(tmp_path / "one/data" / name, folder / "data" / name)
    assert finished(folder, "db", "check", "--database-url", place).returncode == 0
    with serving(folder, place) as client:
        yield client


def _asking(server: Server, folder: Path) -> Iterator[httpx2.Client]:
    key = (folder / "data/admin.key").read_text().strip()
    limits = httpx2.Limits(max_connections=WRITERS)
    with httpx2.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {key}"}, limits=limits, trust_env=False
    ) as client:
        yield client
