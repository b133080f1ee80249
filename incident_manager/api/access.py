"""API keys and the audit: for admins."""

from typing import Annotated

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from incident_manager.api.dependencies import Cursor, IfMatch, PageSize
from incident_manager.api.parts import Parts
from incident_manager.api.problems import problems
from incident_manager.flows import access, audit, versions
from incident_manager.flows.units import Units
from incident_manager.rules.access import Policy
from incident_manager.schemas.access import KeyCreated, KeyIn, KeyOut, KeyPage, KeyPatch
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
        return _created(await units.write(access.create_key, data, parts.vault))

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
        return _shown(await units.read(access.get_key, reference))

    @put(
        "/{reference:str}",
        policy=Policy.ADMINISTER,
        responses={201: ResponseSpec(KeyCreated, generate_examples=False, description="created")}
        | problems(404, 409, 412, 413, 415),
    )
    async def replace(
        self,
        reference: Reference,
        data: JSONBody[KeyIn],
        parts: NamedDependency[Parts],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[KeyOut] | Response[KeyCreated]:
        """Create or replace, so that a file of keys can be applied again and again; a key that exists stays the same."""
        found = await units.apply(access.put_key, reference, data, if_match, parts.vault)
        return _created(found) if isinstance(found, KeyCreated) else _shown(found)

    @patch("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404, 409, 412, 413, 415))
    async def change(
        self,
        reference: Reference,
        data: JSONBody[KeyPatch],
        units: NamedDependency[Units],
        if_match: IfMatch = None,
    ) -> Response[KeyOut]:
        """Change what is given: name, role, expiry."""
        return _shown(await units.write(access.change_key, reference, data, if_match))

    @delete("/{reference:str}", policy=Policy.ADMINISTER, responses=problems(404, 412))
    async def revoke(self, reference: Reference, units: NamedDependency[Units], if_match: IfMatch = None) -> None:
        """Revoke a key: it is worthless from the next request on. It stays listed."""
        await units.write(access.revoke_key, reference, if_match)


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


def _created(made: KeyCreated) -> Response[KeyCreated]:
    headers = {"Location": f"/v1/keys/{made.id}", "ETag": versions.etag(made.version)}
    return Response(made, status_code=201, headers=headers)


def _shown(found: KeyOut) -> Response[KeyOut]:
    return Response(found, headers={"ETag": versions.etag(found.version)}, status_code=200)
