"""Who may ask for the time, read the environment, commit, catch everything, import late, or see all tenants."""

import ast
from collections.abc import Callable, Iterator

import pytest

from tests.house.sources import Module, module, modules

TIME = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns", "func.now"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"}
BROAD = {"Exception", "BaseException"}
FENCES = {"incident_manager/flows/intake/line.py", "incident_manager/api/fast.py"}

# Look-ups by a secret that comes before the tenant is known, and the scans of claims that expire; everything else is bound to
# one tenant.
SEES_ALL_TENANTS = {
    ("incident_manager/store/access.py", "find_key"),
    ("incident_manager/store/integrations.py", "find_by_digest"),
    ("incident_manager/store/pruning.py", "count_expired"),
    ("incident_manager/store/pruning.py", "delete_expired"),
    ("incident_manager/store/pruning.py", "find_last_expiry"),
    ("incident_manager/store/pruning.py", "list_claimed"),
}


def asks_for_the_time(found: Module) -> Iterator[str]:
    if not found.is_in("incident_manager/clock.py"):
        yield from _uses(found, TIME)


def reads_the_environment(found: Module) -> Iterator[str]:
    if found.is_in("incident_manager/settings/environment.py"):
        return
    yield from _uses(found, ENVIRONMENT)
    for node in ast.walk(found.tree):
        if isinstance(node, ast.keyword) and node.arg in {"envvar", "auto_envvar_prefix"}:
            yield f"{found.at(node.value)}: {node.arg}="


def commits(found: Module) -> Iterator[str]:
    """A block that begins by itself commits by itself, too."""
    if found.is_in("incident_manager/db.py", "incident_manager/direct.py"):
        return
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Attribute) and node.attr in {"commit", "begin", "begin_nested"}:
            yield f"{found.at(node)}: .{node.attr}"


def catches_everything(found: Module) -> Iterator[str]:
    """What is raised again is not caught; the fences answer whoever waits."""
    if found.is_in(*FENCES):
        return
    for node in ast.walk(found.tree):
        if isinstance(node, ast.ExceptHandler) and not isinstance(node.body[-1], ast.Raise):
            if node.type is None or BROAD & _names(node.type):
                yield f"{found.at(node)}: except {ast.unparse(node.type) if node.type else ''}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and BROAD & _names(node):
            yield f"{found.at(node)}: {ast.unparse(node)}"


def imports_late(found: Module) -> Iterator[str]:
    if found.is_in("cli/"):  # for start-up time
        return
    for function in ast.walk(found.tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield f"{found.at(node)}: {ast.unparse(node)}"


def sees_all_tenants(found: Module) -> Iterator[str]:
    if found.is_in("incident_manager/db.py"):
        return
    for function in found.tree.body:
        if isinstance(function, ast.Import | ast.ImportFrom):
            continue
        if (found.name, getattr(function, "name", "")) not in SEES_ALL_TENANTS and _mentions_all_tenants(function):
            yield f"{found.at(function)}: {getattr(function, 'name', 'the module')}"


def opens_a_session_without_a_tenant(found: Module) -> Iterator[str]:
    """A session without a tenant reads what belongs to none; who opens one stands in a short list."""
    allowed = ("incident_manager/start.py", "incident_manager/api/guards.py", "incident_manager/api/health.py")
    flows = ("access.py", "deliveries.py", "pruning.py")
    if found.is_in(*allowed, *(f"incident_manager/flows/{name}" for name in flows), "cli/doctor.py"):
        return
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Attribute) and node.attr == "look_up" and not found.is_in("incident_manager/db.py"):
            yield f"{found.at(node)}: .look_up"
        if found.is_in("incident_manager/db.py"):  # where `look_up` is
            continue
        if isinstance(node, ast.keyword) and node.arg == "tenant_id" and ast.unparse(node.value) == "None":
            yield f"{found.at(node.value)}: tenant_id=None"


def goes_past_the_models(found: Module) -> Iterator[str]:
    """A table or a text is not bound to the tenant by the session, as what goes through a model is."""
    allowed = ("models/", "db.py", "engines.py", "migrate.py", "store/durability.py", "store/bulk.py")
    if found.is_in(*(f"incident_manager/{name}" for name in allowed), "cli/"):
        return
    for node in ast.walk(found.tree):
        name = ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""
        past = isinstance(node, ast.Attribute) and node.attr in {"__table__", "exec_driver_sql"}
        if past or name in {"text", "table", "literal_column"}:
            yield f"{found.at(node)}: {ast.unparse(node)}"


CHECKS = [
    asks_for_the_time,
    reads_the_environment,
    commits,
    catches_everything,
    imports_late,
    sees_all_tenants,
    opens_a_session_without_a_tenant,
    goes_past_the_models,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nobody_but_who_may(check: Callable[[Module], Iterator[str]]) -> None:
    assert [wrong for found in modules() for wrong in check(found)] == []


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (asks_for_the_time, "now = datetime.now(UTC)"),
        (asks_for_the_time, "now = datetime.datetime.utcnow()"),
        (asks_for_the_time, "from time import time"),
        (asks_for_the_time, "seconds = time.time()"),
        (asks_for_the_time, "at = sa.func.now()"),
        (reads_the_environment, "home = os.environ['HOME']"),
        (reads_the_environment, "from os import getenv"),
        (reads_the_environment, "@click.option('--url', envvar='URL')\ndef list(): ..."),
        (commits, "async def f(session):\n    await session.commit()"),
        (commits, "async def f(engine):\n    async with engine.begin(): ..."),
        (catches_everything, "try: ...\nexcept Exception: ..."),
        (catches_everything, "try: ...\nexcept (ValueError, BaseException): ..."),
        (catches_everything, "try: ...\nexcept: ..."),
        (catches_everything, "with contextlib.suppress(Exception): ..."),
        (imports_late, "def f():\n    import json"),
        (imports_late, "async def f():\n    if True:\n        from json import loads"),
        (sees_all_tenants, "def f(s):\n    return s.scalars(q, execution_options=SEES_ALL_TENANTS)"),
        (sees_all_tenants, "class A:\n    def f(s):\n        return s.scalars(q, sees_all_tenants=True)"),
        (sees_all_tenants, "OPTIONS = {'sees_all_tenants': True}"),
        (goes_past_the_models, "query = select(Incident.__table__)"),
        (goes_past_the_models, "query = sa.text('SELECT 1')"),
        (goes_past_the_models, "query = select(table('incidents'))"),
        (goes_past_the_models, "connection.exec_driver_sql('SELECT 1')"),
        (opens_a_session_without_a_tenant, "async with database.reading(tenant_id=None) as session: ..."),
    ],
)
def test_a_breach_is_seen(check: Callable[[Module], Iterator[str]], text: str) -> None:
    assert len(list(check(module(text)))) == 1


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_what_is_allowed_is_not_called_a_breach(check: Callable[[Module], Iterator[str]]) -> None:
    text = (
        "import os\nfrom datetime import datetime\n\n\ndef f(now: datetime, os_environ: str) -> None:\n"
        "    try:\n        g(now.time(), os.urandom(8), tenant_id=now)\n    except (ValueError, OSError):\n        raise\n"
    )
    assert list(check(module(text))) == []


def test_the_list_of_who_sees_all_tenants_is_no_longer_than_it_must_be() -> None:
    using = {
        (found.name, node.name)
        for found in modules()
        for node in found.tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _mentions_all_tenants(node)
    }
    assert using - {("incident_manager/db.py", "_bind_to_tenant")} == SEES_ALL_TENANTS


def _uses(found: Module, forbidden: set[str]) -> Iterator[str]:
    for node in ast.walk(found.tree):
        if isinstance(node, ast.Attribute):
            if ".".join(ast.unparse(node).split(".")[-2:]) in forbidden:
                yield f"{found.at(node)}: {ast.unparse(node)}"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if f"{node.module}.{alias.name}" in forbidden:
                    yield f"{found.at(node)}: {ast.unparse(node)}"


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _mentions_all_tenants(node: ast.AST) -> bool:
    return any(
        "sees_all_tenants" in str(value).lower()
        for part in ast.walk(node)
        for name, value in ast.iter_fields(part)
        if name in {"id", "attr", "arg", "value"} and isinstance(value, str)
    )
