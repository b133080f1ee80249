"""The one place where the parts are put together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from litestar import Litestar
from litestar.di import Provide
from loguru import logger

from incident_manager import migrate, start
from incident_manager.api.access import AuditController, KeyController
from incident_manager.api.acting import provide_acting
from incident_manager.api.alerts import AlertController
from incident_manager.api.dependencies import provide_parts, provide_units
from incident_manager.api.fast import short_way
from incident_manager.api.guards import authorize, check_address, declare_policies
from incident_manager.api.health import LOOKS_KEY, VERSION, HealthController, Looks
from incident_manager.api.incident_actions import IncidentActionController
from incident_manager.api.incidents import IncidentController
from incident_manager.api.intake import BODY_LIMIT
from incident_manager.api.integrations import IntegrationController, MonitorController
from incident_manager.api.metrics import MetricsController, measured
from incident_manager.api.origins import open_to
from incident_manager.api.parts import STATE_KEY, Parts
from incident_manager.api.problems import HANDLERS, add_request_id
from incident_manager.api.requests import StrictRequest
from incident_manager.api.schema import AssetController, openapi_config
from incident_manager.clock import Clock, SystemClock
from incident_manager.db import Database
from incident_manager.errors import Unavailable
from incident_manager.flows.intake.receive import Intake
from incident_manager.flows.keyring import Keyring
from incident_manager.settings import Settings
from incident_manager.store.numbers import IncidentNumbers
from incident_manager.telemetry import Telemetry

CONTROLLERS: Final = (
    AlertController,
    IncidentController,
    IncidentActionController,
    MonitorController,
    IntegrationController,
    KeyController,
    AuditController,
    HealthController,
    MetricsController,
    AssetController,
)


def create_app(settings: Settings, clock: Clock | None = None, announce: start.Announce = print) -> Litestar:
    """Return the application; its parts are made when it starts and closed when it stops."""
    telemetry = Telemetry(VERSION)
    app = Litestar(
        route_handlers=list(CONTROLLERS),
        lifespan=[lambda app: _alive(app, settings, clock or SystemClock(), telemetry, announce)],
        guards=[authorize, check_address],
        dependencies={
            "parts": Provide(provide_parts, sync_to_thread=False),
            "units": Provide(provide_units, sync_to_thread=False),
            "acting": Provide(provide_acting, sync_to_thread=False),
        },
        exception_handlers=HANDLERS,
        before_send=[add_request_id],
        request_class=StrictRequest,
        request_max_body_size=BODY_LIMIT,
        openapi_config=openapi_config(),
        logging_config=None,
    )
    answer = open_to(short_way(app.asgi_handler, app), settings.server.cors_origins)
    app.asgi_handler = measured(answer, telemetry)
    declare_policies(app)
    return app


@asynccontextmanager
async def _alive(
    app: Litestar, settings: Settings, clock: Clock, telemetry: Telemetry, announce: start.Announce
) -> AsyncIterator[None]:
    """Make the parts; at the end let intake finish what it has in line, then close them."""
    database = Database(settings.database_url, settings.database, telemetry)
    try:
        vault = await start.prepare(settings, database, clock, announce)
        numbers, ttl = IncidentNumbers(database), timedelta(seconds=settings.idempotency.ttl_seconds)
        intake = Intake(database, numbers, settings.intake, ttl, telemetry)
        app.state[LOOKS_KEY] = looks = Looks(database, migrate.head())
        app.state[STATE_KEY] = Parts(
            settings=settings,
            database=database,
            clock=clock,
            vault=vault,
            numbers=numbers,
            intake=intake,
            keyring=Keyring(),
            doors=Keyring(),
            telemetry=telemetry,
            started_at=clock.now(),
            weaknesses=tuple(await start.check_durability(settings, database)),
        )
        async with _watching(telemetry):
            yield
        await intake.close()
        await looks.close()
        await _give_back(numbers)
    finally:
        await database.close()


@asynccontextmanager
async def _watching(telemetry: Telemetry) -> AsyncIterator[None]:
    watch = asyncio.create_task(telemetry.watch_loop())
    try:
        yield
    finally:
        watch.cancel()


async def _give_back(numbers: IncidentNumbers) -> None:
    """Return unused incident numbers. A database that has gone must not turn an orderly stop into a failure: gaps may be."""
    try:
        await numbers.give_back()
    except Unavailable:
        logger.warning("incident numbers not given back")
