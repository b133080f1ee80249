"""The page's proxies: their programs read what it prints, and it fits the server behind them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cli import server
from incident_manager.api.integrations import DELIVERY_LIMIT
from incident_manager.settings import load
from tests.deploy.files import DEPLOY

PAGE = (DEPLOY / "README.md").read_text()
SNIPPETS = {name: re.search(rf"```{name}\n(.*?)```", PAGE, re.DOTALL)[1] for name in ("nginx", "caddy")}
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_nginx_reads_its_part(tmp_path: Path) -> None:
    make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=example -keyout key -out pem"
    subprocess.run(["openssl", *make.split()], cwd=tmp_path, check=True, capture_output=True)
    part = re.sub(r"/etc/ssl/\S+\.(pem|key);", rf"{tmp_path}/\1;", SNIPPETS["nginx"])
    (tmp_path / "conf").write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n{part}}}\n")
    found = subprocess.run([NGINX, "-t", "-c", tmp_path / "conf"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    assert "[warn]" not in found.stderr


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_caddy_reads_its_part(tmp_path: Path) -> None:
    (tmp_path / "Caddyfile").write_text(SNIPPETS["caddy"])
    command = ["caddy", "adapt", "--adapter", "caddyfile", "--config", "Caddyfile"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


def test_they_let_through_the_largest_body_that_the_server_takes() -> None:
    assert DELIVERY_LIMIT == 1024 * 1024
    assert "client_max_body_size 1m;" in SNIPPETS["nginx"]
    assert "max_size 1MiB" in SNIPPETS["caddy"]


def test_they_leave_an_idle_connection_before_the_server_does() -> None:
    kept = server._config(None, load()).timeout_keep_alive
    assert [int(span) for span in re.findall(r"keepalive(?:_timeout)? (\d)s", "".join(SNIPPETS.values()))] == [4, 4]
    assert (kept, f"({kept} s)" in PAGE) == (5, True)


def test_only_what_the_proxy_itself_saw_is_passed_on_as_the_client() -> None:
    assert "X-Forwarded-For $remote_addr;" in SNIPPETS["nginx"]
    assert "proxy_add_x_forwarded_for" not in SNIPPETS["nginx"]
