"""The entry point: the groups and commands of the command line, each loaded only when it is used."""

import errno
import io
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Final

import rich_click as click

from cli import client, output
from incident_manager.errors import IncidentManagerError, ValidationFailed

PROGRAM: Final = "incident-manager"

# name -> module:attribute, in the panels and the order in which help shows them
PANELS: Final[Mapping[str, Mapping[str, str]]] = {
    "Incidents": {
        "list": "cli.incidents:list_incidents",
        "get": "cli.incidents:get",
        "timeline": "cli.incidents:timeline",
        "open": "cli.incidents:open_incident",
        "ack": "cli.incident_actions:acknowledge",
        "resolve": "cli.incident_actions:resolve",
        "close": "cli.incident_actions:close",
        "reopen": "cli.incident_actions:reopen",
        "snooze": "cli.incident_actions:snooze",
        "note": "cli.incident_actions:note",
        "assign": "cli.incident_actions:assign",
        "label": "cli.incident_actions:label",
        "update": "cli.incident_actions:update",
        "link": "cli.incident_actions:link",
        "unlink": "cli.incident_actions:unlink",
        "merge": "cli.incident_actions:merge",
        "split": "cli.incident_actions:split",
    },
    "Alerts": {
        "alert": "cli.alerts:alert",
        "alerts": "cli.alerts:alerts",
    },
    "Set-up": {
        "integrations": "cli.integrations:integrations",
        "monitors": "cli.integrations:monitors",
        "audit": "cli.audit:audit",
        "health": "cli.health:health",
    },
    "Server": {
        "serve": "cli.serve:serve",
        "db": "cli.db:db",
        "doctor": "cli.doctor:doctor",
        "tenants": "cli.access:tenants",
        "keys": "cli.access:keys",
    },
}
COMMANDS: Final = {name: place for panel in PANELS.values() for name, place in panel.items()}


class Commands(click.RichGroup):
    """The top of the command line: imports a command when it is asked for, and ends every refusal in words."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse bytes that are no text before anything is made of them."""
        for argument in args:
            if not _is_text(argument):
                raise click.UsageError(f"{argument!a} is not UTF-8", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what it refuses or meets ends in one message and exit code 1."""
        try:
            return super().invoke(ctx)
        except IncidentManagerError as error:
            output.say(f"{PROGRAM}: {_words(error)}")
        except OSError as error:
            if error.errno == errno.EPIPE:  # `| head` has seen enough: click ends quietly
                raise
            output.say(f"{PROGRAM}: {error.filename or 'the system'}: {error.strerror or error}")
        return ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@client.options
@click.version_option(package_name=PROGRAM)
def main() -> None:
    """Alerts in, incidents out.

    Commands that talk to a server take its address from --url and a key from --api-key, from the environment, or from
    the data directory of a server on this machine. Output is a table in a terminal, the API's JSON elsewhere.
    """


for _panel, _names in PANELS.items():
    click.command_panel(_panel, commands=[*_names])(main)


def run() -> None:
    """Run the command line."""
    sys.excepthook = _on_defect
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no reason to stop
    main(prog_name=PROGRAM)


def _words(error: IncidentManagerError) -> str:
    if isinstance(error, ValidationFailed):
        return "\n  ".join(
            f"{wrong.field}: {wrong.message}" if wrong.field else wrong.message for wrong in error.errors
        )
    return str(error)


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _on_defect(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Say where a defect of ours shows, without its text: a driver's holds statements and their values."""
    frames = [frame for frame in traceback.extract_tb(trace) if "site-packages" not in frame.filename]
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    output.say(f"{PROGRAM}: a defect of this program: {kind.__name__}{where}; please report it")
