"""The audit from the command line."""

from tests.cli.conftest import CommandLine


def test_the_audit_shows_who_did_what_newest_first(run: CommandLine) -> None:
    run("integrations", "create", "audited", "--monitor", "generic")
    newest = run.json("audit", "list", "--page-size", "1")["audit"][0]
    assert (newest["actor"], newest["action"], newest["resource"]) == ("admin", "create", "integration")
    shown = run("--output", "table", "audit", "list", "--page-size", "1")
    assert "admin (key)" in shown.stdout
    assert '"name":"audited"' in shown.stdout
    assert "more with --cursor" in shown.stderr


def test_a_cursor_that_is_forged_is_refused(run: CommandLine) -> None:
    refused = run("audit", "list", "--cursor", "forged")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("incident-manager: cursor: ")
