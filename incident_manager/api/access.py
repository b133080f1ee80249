"""API keys and the audit: for admins."""

from typing import Annotated

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from incident_manager.api.dependencies import Cursor, PageSize
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.flows import access, audit, versions
from incident_manager.flows.units import Units
from incident_manager.rules.access import Policy
from incident_manager.schemas.access import KeyCreated, KeyIn, KeyOut, KeyPage
from incident_manager.schemas.audit import AuditPage

Reference = Annotated[str, PathParameter(max_length=100, description="the key's id, or the name of a valid one")]


class KeyController(Controller):
    """Keys of the caller's tenant."""

    path = "/v1/keys"
    tags = ("access",)

    @post(policy=Policy.ADMINISTER, responses=problems(409, 413, 415))
    async def create(
        self, data: JSONBody[KeyIn], parts: NamedDependency[Parts], units: NamedDependency[Units]
    ) -> Response[KeyCreated]:
        """Make a key. It is shown this once."""
        made = await units.write(access.create_key, data, parts.vault)
        return Response(
            made,
            status_code=201,
            headers={"Location": f"/v1/keys/{made.id}", "ETag": versions.etag(made.version)},
        )

    @get(policy=Policy.ADMINISTER, responses=problems())
    async def list_page(
        self,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 100,
    ) -> KeyPage:
        """List keys in the order they were made, revoked ones too."""
        return await units.read(access.list_page, cursor, page_size, parts.vault)

    @get("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404))
    async def show(self, reference: Reference, units: NamedDependency[Units]) -> Response[KeyOut]:
        """Show a key, but for the key itself."""
        found = await units.read(access.get_key, reference)
        return Response(found, headers={"ETag": versions.etag(found.version)})

    @delete("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404))
    async def revoke(self, reference: Reference, units: NamedDependency[Units]) -> None:
        """Revoke a key: it is worthless from the next request on. It stays listed."""
        await units.write(access.revoke_key, reference)


class AuditController(Controller):
    """What people, keys and the command line changed."""

    path = "/v1/audit"
    tags = ("access",)

    @get(policy=Policy.ADMINISTER, responses=problems())
    async def list_page(
        self,
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        cursor: Cursor = None,
        page_size: PageSize = 100,
    ) -> AuditPage:
        """List changes, newest first."""
        return await units.read(audit.list_entries, cursor, page_size, parts.vault)
