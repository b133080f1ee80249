"""What is done to one incident: an address for each action, with one shape; all answer with the incident."""

from collections.abc import Awaitable, Callable

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from incident_manager.api.acting import Acting, Reference, Shown
from incident_manager.api.dependencies import VERSIONED
from incident_manager.api.problems import problems
from incident_manager.flows.incidents import relations, requests
from incident_manager.rules.access import Policy
from incident_manager.schemas.incidents import (
    AcknowledgeIn,
    CloseIn,
    LinkIn,
    MergeIn,
    NoteIn,
    ReopenIn,
    ResolveIn,
    SnoozeIn,
    SplitIn,
)


def action(name: str) -> Callable[[Callable[..., Awaitable[Shown]]], HTTPRouteHandler]:
    """Make a method the action of that name."""
    return post(
        f"/{name}",
        status_code=200,
        policy=Policy.ACT,
        responses=problems(404, 409, 413, 415),
        response_headers=VERSIONED,
    )


class IncidentActionController(Controller):
    """What is done to an incident of the caller's tenant. `{reference}` is an id or a number."""

    path = "/v1/incidents/{reference:str}"
    tags = ("incidents",)

    @action("acknowledge")
    async def acknowledge(
        self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[AcknowledgeIn | None] = None
    ) -> Shown:
        """Take it: Detected becomes Triaged; whatever else is active stays as it is, and says who has it."""
        by = data.by if data else None
        return await acting(lambda unit: requests.acknowledge(unit, reference, by))

    @action("resolve")
    async def resolve(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[ResolveIn]) -> Shown:
        """End it, and say how."""
        return await acting(lambda unit: requests.resolve(unit, reference, data))

    @action("close")
    async def close(
        self,
        reference: Reference,
        acting: NamedDependency[Acting],
        data: JSONBody[CloseIn | None] = None,  # noqa: ARG002 - read, so that a body with anything in it is refused
    ) -> Shown:
        """Put a resolved incident away."""
        return await acting(lambda unit: requests.close(unit, reference))

    @action("reopen")
    async def reopen(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[ReopenIn]) -> Shown:
        """Take it up again; how it had ended stays on the timeline."""
        return await acting(lambda unit: requests.reopen(unit, reference, data.reason))

    @action("snooze")
    async def snooze(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[SnoozeIn]) -> Shown:
        """Hold its notifications and escalation until a time, or with null let them go on; a raise of severity ends it."""
        return await acting(lambda unit: requests.snooze(unit, reference, data.until))

    @action("notes")
    async def add_note(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[NoteIn]) -> Shown:
        """Write a note on the timeline."""
        return await acting(lambda unit: requests.add_note(unit, reference, data.content))

    @action("link")
    async def link(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[LinkIn]) -> Shown:
        """Let incidents, by id or number, name each other as related."""
        others = [str(other) for other in data.incident_ids]
        return await acting(lambda unit: relations.link(unit, reference, others))

    @action("unlink")
    async def unlink(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[LinkIn]) -> Shown:
        """Undo a link."""
        others = [str(other) for other in data.incident_ids]
        return await acting(lambda unit: relations.unlink(unit, reference, others))

    @action("merge")
    async def merge(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[MergeIn]) -> Shown:
        """Let another incident take its alerts, keys and later repeats; it becomes Closed with `merged_into_id`."""
        return await acting(lambda unit: relations.merge(unit, reference, str(data.into)))

    @action("split")
    async def split(self, reference: Reference, acting: NamedDependency[Acting], data: JSONBody[SplitIn]) -> Shown:
        """Open a new incident of some of its alerts, and answer with that one."""
        async with acting.number() as numbers:
            return await acting(lambda unit: relations.split(unit, reference, data.alert_ids, numbers))
