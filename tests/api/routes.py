"""Every route of the API with the policy it must have and a body it takes: a route that is not here fails a test."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from litestar import Litestar
from litestar.routes import HTTPRoute

from incident_manager.rules.access import Policy
from tests import make
from tests.world import World

RESOLVE = {"resolved_by": "ada", "notes": "done"}
INTEGRATION = {"name": "made", "monitor": "generic"}
GENERIC = {"title": "Disk is full"}


class Route(NamedTuple):
    method: str
    path: str
    policy: Policy
    body: Any = None

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = [
    Route("POST", "/v1/alerts", Policy.INGEST, make.alert()),
    Route("POST", "/v1/alerts/batch", Policy.INGEST, [make.alert()]),
    Route("POST", "/v1/alerts/preview", Policy.READ, make.alert()),
    Route("GET", "/v1/alerts", Policy.READ),
    Route("GET", "/v1/alerts/{alert_id}", Policy.READ),
    Route("POST", "/v1/incidents", Policy.ACT, make.incident()),
    Route("GET", "/v1/incidents", Policy.READ),
    Route("GET", "/v1/incidents/{reference}", Policy.READ),
    Route("PATCH", "/v1/incidents/{reference}", Policy.ACT, {"title": "Disk is very full"}),
    Route("PUT", "/v1/incidents/{reference}", Policy.ACT, {"severity": "P1"}),
    Route("POST", "/v1/incidents/{reference}/acknowledge", Policy.ACT, {}),
    Route("POST", "/v1/incidents/{reference}/notes", Policy.ACT, {"content": "looking"}),
    Route("POST", "/v1/incidents/{reference}/resolve", Policy.ACT, RESOLVE),
    Route("POST", "/v1/incidents/{reference}/close", Policy.ACT, {}),
    Route("POST", "/v1/incidents/{reference}/reopen", Policy.ACT, {"reason": "it is back"}),
    Route("POST", "/v1/incidents/{reference}/snooze", Policy.ACT, {"until": "2026-03-02T12:00:00Z"}),
    Route("POST", "/v1/incidents/{reference}/link", Policy.ACT, {"incident_ids": [2]}),
    Route("POST", "/v1/incidents/{reference}/unlink", Policy.ACT, {"incident_ids": ["2"]}),
    Route("POST", "/v1/incidents/{reference}/split", Policy.ACT, {"alert_ids": ["{alert_id}"]}),
    Route("GET", "/v1/incidents/{reference}/timeline", Policy.READ),
    Route("GET", "/v1/incidents/{reference}/alerts", Policy.READ),
    Route("GET", "/v1/monitors", Policy.READ),
    Route("POST", "/v1/integrations", Policy.ADMINISTER, INTEGRATION),
    Route("GET", "/v1/integrations", Policy.READ),
    Route("GET", "/v1/integrations/{reference}", Policy.READ),
    Route("PUT", "/v1/integrations/{reference}", Policy.ADMINISTER, INTEGRATION | {"name": "renamed"}),
    Route("PATCH", "/v1/integrations/{reference}", Policy.ADMINISTER, {"labels": {"team": "db"}}),
    Route("POST", "/v1/integrations/{monitor}/{key}", Policy.OWN_KEY, GENERIC),
    Route("POST", "/v1/keys", Policy.ADMINISTER, {"name": "made", "role": "viewer"}),
    Route("GET", "/v1/keys", Policy.ADMINISTER),
    Route("GET", "/v1/keys/{reference}", Policy.ADMINISTER),
    Route("PUT", "/v1/keys/{reference}", Policy.ADMINISTER, {"name": "changed", "role": "viewer"}),
    Route("PATCH", "/v1/keys/{reference}", Policy.ADMINISTER, {"role": "ingest"}),
    Route("GET", "/v1/audit", Policy.ADMINISTER),
    Route("GET", "/metrics", Policy.METRICS),
    Route("GET", "/health", Policy.PUBLIC),
    Route("GET", "/health/live", Policy.PUBLIC),
    Route("GET", "/health/ready", Policy.PUBLIC),
    Route("GET", "/assets/rapidoc-min.js", Policy.PUBLIC),
    Route("GET", "/schema", Policy.PUBLIC),
    Route("GET", "/schema/openapi.json", Policy.PUBLIC),
    Route("GET", "/schema/{path}", Policy.PUBLIC),
    # what ends something comes last
    Route("POST", "/v1/incidents/{reference}/merge", Policy.ACT, {"into": 2}),
    Route("DELETE", "/v1/integrations/{reference}", Policy.ADMINISTER),
    Route("DELETE", "/v1/keys/{reference}", Policy.ADMINISTER),
]


def names(*policies: Policy) -> set[str]:
    """Return the names of the routes that have one of these policies."""
    return {route.name for route in ROUTES if route.policy in policies}


def table(app: Litestar) -> Iterator[tuple[str, Policy]]:
    """Return what the application itself says of its routes; nothing answers OPTIONS."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                yield f"{method} {route.path_format}", handler.opt["policy"]


class Things(NamedTuple):
    """One of everything that has an address, and what it is called."""

    incident: dict[str, Any]
    alert_id: str
    integration: dict[str, Any]
    key: dict[str, Any]

    def path(self, route: Route) -> str:
        """Fill in a route's path."""
        named = {"v1/integrations": self.integration["id"], "v1/keys": self.key["id"]}
        reference = named.get("/".join(route.path.split("/")[1:3]), self.incident["id"])
        key = self.integration["key"]
        return route.path.format(
            alert_id=self.alert_id, reference=reference, monitor="generic", key=key, path="nothing"
        )

    def body(self, route: Route) -> Any:
        """Fill in the ids of a route's body."""
        return json.loads(json.dumps(route.body).replace("{alert_id}", self.alert_id))


async def things(world: World) -> Things:
    """Make one of everything, the incident with two alerts; incident 2 is another one."""
    alert = await world.alert(labels={"team": "db"}, affected_services=["disk"])
    await world.alert(labels={"team": "db"}, affected_services=["disk"])
    await world.alert(title="Disk is slow")
    return Things(
        incident=await world.incident(alert["incident_id"]),
        alert_id=alert["alert_id"],
        integration=await world.post("/v1/integrations", {"name": "prod", "monitor": "generic"}, status=201),
        key=await world.post("/v1/keys", {"name": "ci", "role": "viewer"}, status=201),
    )
