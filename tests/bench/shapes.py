"""What tells the rows of a large store apart, and how often each value occurs, as SQL that either database takes.

A year of incidents, a few of them active whatever their number, as it is where people work; repeats come within the time of
about fifty incidents, but those of the oldest one, which never ended.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from incident_manager.models import Base

GAP_SECONDS: Final = 30  # between an incident and the next
ACTIVE_NEWEST, ACTIVE_EVERY = 4_000, 5  # of the newest so many every fifth is active
ACTIVE_OLD: Final = 200
ENTRIES_ACTIVE: Final = 2  # of a timeline; an incident that has ended has all that the copied one has
FINGERPRINTS_EACH: Final = 5  # incidents of a fingerprint
COMMON, RARE = "latency", "flux"  # words of titles; a rare one is of one in RARE_EVERY
RARE_EVERY: Final = 50_000

SOURCES = ("prometheus",) * 12 + ("grafana",) * 4 + ("datadog", "cloudwatch", "sentry", "zabbix")
SEVERITIES = ("P0",) + ("P1",) * 4 + ("P2",) * 20 + ("P3",) * 45 + ("P4",) * 30
TYPES = ("Infrastructure",) * 5 + ("Application",) * 3 + ("Performance", "Availability", "Security", "Data")
ENDED = ("Resolved",) * 7 + ("Closed",) * 3
ACTIVE = ("Detected",) * 5 + ("Triaged", "Investigating", "Investigating", "Remediating")
PROBLEMS = (
    *("Disk will be full", "Memory pressure", "Pod restarts", "Certificate expires", "Queue grows", "Error rate"),
    *("High latency", "High latency of the database", "Replication lag", "Node is down", "Token budget used up"),
    *("Model answers slowly", "GPU lost", "Backup is late", "Login fails", "Probe fails"),
)


class Shape(NamedTuple):
    """How much is made."""

    incidents: int
    alerts: int
    long: int
    now: int  # Unix time of the newest row


class Words:
    """What the two databases say differently."""

    def __init__(self, *, on_sqlite: bool) -> None:
        self.on_sqlite: Final = on_sqlite

    def series(self, count: int) -> str:
        """Return a relation of one column `n`, from 1."""
        if self.on_sqlite:
            more = f"SELECT n + 1 FROM c WHERE n < {count}"
            return f"(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL {more}) SELECT n FROM c) AS s"
        return f"generate_series(1::bigint, {count}::bigint) AS s(n)"

    def apart(self, relation: str) -> str:
        """Return a relation whose columns are computed once a row, however often they are named."""
        return f"({relation} {'LIMIT -1 OFFSET 0' if self.on_sqlite else 'OFFSET 0'}) AS s"

    def hex(self, number: str, digits: int) -> str:
        """Return a number as so many hexadecimal digits."""
        if self.on_sqlite:
            return f"printf('%0{digits}x', {number})"
        return f"lpad(to_hex({number}), {digits}, '0')"

    def uuid(self, seconds: str, number: str) -> str:
        """Return a UUIDv7 of a time."""
        text = f"{self.hex(f'CAST({seconds} AS BIGINT) * 1000', 12)} || '70008' || {self.hex(number, 15)}"
        return f"({text})" if self.on_sqlite else f"({text})::uuid"

    def time(self, seconds: str) -> str:
        """Return an instant as its column keeps it."""
        if self.on_sqlite:
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {seconds}, 'unixepoch')"
        return f"to_timestamp({seconds})"

    def json(self, text: str) -> str:
        """Return a JSON text as its column keeps it."""
        return text if self.on_sqlite else f"({text})::jsonb"


class Rows:
    """Writes the statements: `n` is a row's number, `t` the row that is copied."""

    def __init__(self, shape: Shape, words: Words) -> None:
        self._shape, self._words = shape, words

    def statements(self) -> Iterator[str]:
        """Return them in the order in which they run."""
        shape, words = self._shape, self._words
        repeat = "(SELECT id FROM alerts ORDER BY id DESC LIMIT 1)"
        yield self._copy("incidents", self._incident(), self._incidents, "t.number = 1")
        yield self._copy("alerts", self._alert(), self._alerts, f"t.id = {repeat}")
        every = f"t.incident_id = {self._template} AND (s.n <> 2 AND (t.seq <= 2 OR NOT {self._active('s.n')}))"
        yield self._copy("timeline", self._entry("s.n", "t.seq"), words.series(shape.incidents), every)
        length = f"(SELECT count(*) FROM timeline WHERE incident_id = {self._template})"
        long = f"t.incident_id = {self._template} AND t.seq = 1 + s.n % {length}"
        yield self._copy("timeline", self._entry("2", "s.n"), words.series(shape.long), long)
        yield self._copy("dedup_keys", self._key(), words.series(self._fingerprints), "true")
        yield f"UPDATE tenants SET next_incident_number = next_incident_number + {shape.incidents}"

    _template = "(SELECT id FROM incidents WHERE number = 1)"

    def _copy(self, table: str, changed: Mapping[str, str], series: str, where: str) -> str:
        columns = [column.name for column in Base.metadata.tables[table].c]
        chosen = ", ".join(changed.get(name, f"t.{name}") for name in columns)
        # CROSS JOIN: SQLite takes the tables in this order, so that rows come in the order of their keys
        return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {series} CROSS JOIN {table} AS t WHERE {where}"

    @property
    def _fingerprints(self) -> int:
        return max(1, self._shape.incidents // FINGERPRINTS_EACH)

    def _incident(self) -> dict[str, str]:
        words, at = self._words, self._opened_at("s.n")
        ended = f"NOT {self._active('s.n')}"
        only_ended = ("acknowledged_by", "resolved_by", "resolution_method", "root_cause", "resolution_notes")
        assigned = f"""'["person-' || {_mix("s.n", 22, 50)} || '"]'"""
        assignees = f"CASE WHEN {_mix('s.n', 21, 5)} = 0 THEN {assigned} ELSE '[]' END"
        state = f"CASE WHEN {ended} THEN {_pick(ENDED, 's.n', 3)} ELSE {_pick(ACTIVE, 's.n', 5)} END"
        return {
            "id": self._incident_id("s.n"),
            "last_alert_id": self._alert_id("s.last"),
            "number": "s.n + 1",
            "created_at": words.time(at),
            "updated_at": words.time(f"{at} + {_mix('s.n', 11, 7200)}"),
            "first_seen_at": words.time(at),
            "last_seen_at": words.time(f"{at} + {_mix('s.n', 12, 3600)}"),
            "state": state,
            "severity": _pick(SEVERITIES, "s.n", 2),
            **self._said("s.n"),
            "assignees": words.json(assignees),
            "affected_resources": words.json(self._services("s.n")),
            "service": f"'service-' || {_mix('s.n', 9, 200)}",
            "team": f"'team-' || {_mix('s.n', 9, 20)}",
            "fingerprint": self._fingerprint("s.n"),
            "timeline_length": f"CASE WHEN s.n = 2 THEN {self._shape.long} WHEN {ended} THEN t.timeline_length ELSE 2 END",
            **{name: f"CASE WHEN {ended} THEN t.{name} END" for name in only_ended},
            "acknowledged_at": f"CASE WHEN {ended} THEN {words.time(f'{at} + 120')} END",
            "resolved_at": f"CASE WHEN {ended} THEN {words.time(f'{at} + 1800')} END",
        }

    def _alert(self) -> dict[str, str]:
        words, at = self._words, self._alerted_at("s.n")
        said = self._said("s.m")
        return {
            "id": words.uuid(at, "s.n"),
            "previous_id": self._alert_id("s.before"),
            "occurred_at": words.time(at),
            "received_at": words.time(at),
            "severity": _pick(SEVERITIES, "s.m", 2),
            "alert_type": said.pop("incident_type"),
            **said,
            "affected_services": words.json(self._services("s.m")),
            "fingerprint": self._fingerprint("s.m"),
            "incident_id": self._incident_id("s.m"),
            "occurrence": f"1 + s.n % {self._each}",
        }

    @property
    def _each(self) -> int:
        return self._shape.alerts // self._shape.incidents

    @property
    def _pairs(self) -> str:
        """Return alerts' numbers with the incident's of each: one of the newest fifty of its time, or the first."""
        every = self._shape.alerts // self._shape.long
        near = f"(n / {self._each} - {_mix('n', 31, 50)})"
        chosen = f"CASE WHEN n % {every} = 0 OR {near} < 1 THEN 1 ELSE {near} END"
        return f"(SELECT n, {chosen} AS m FROM {self._words.series(self._shape.alerts)}) AS pairs"

    @property
    def _alerts(self) -> str:
        """Return alerts' numbers, each with its incident's and that of the alert before it there."""
        before = "lag(n) OVER (PARTITION BY m ORDER BY n) AS before"
        return self._words.apart(f"SELECT n, m, {before} FROM {self._pairs} ORDER BY n")

    @property
    def _incidents(self) -> str:
        """Return incidents' numbers, each with that of its last alert."""
        last = f"(SELECT m, max(n) AS last FROM {self._pairs} GROUP BY m) AS l"
        series = self._words.series(self._shape.incidents)
        return self._words.apart(f"SELECT n, last FROM {series} LEFT JOIN {last} ON l.m = s.n ORDER BY n")

    def _alerted_at(self, number: str) -> str:
        return f"({self._shape.now} - ({self._shape.alerts + 1} - {number}) * {GAP_SECONDS} / {self._each})"

    def _alert_id(self, number: str) -> str:
        return f"CASE WHEN {number} IS NOT NULL THEN {self._words.uuid(self._alerted_at(number), number)} END"

    def _said(self, number: str) -> dict[str, str]:
        """Return what an incident and its alerts say alike."""
        rare = f"{number} % {RARE_EVERY} = 7"
        problem = f"CASE WHEN {rare} THEN 'The {RARE} capacitor leaks' ELSE {_pick(PROBLEMS, number, 6)} END"
        host = f"'host-' || {_mix(number, 10, 5000)}"
        labels = {
            "alertname": f"'Rule' || {_mix(number, 7, 300)}",
            "cluster": f"'prod-' || {_mix(number, 8, 8)}",
            "instance": host,
            "team": f"'team-' || {_mix(number, 9, 20)}",
        }
        members = " || ',' || ".join(f"""'"{name}":"' || {value} || '"'""" for name, value in labels.items())
        return {
            "source": _pick(SOURCES, number, 1),
            "incident_type": _pick(TYPES, number, 4),
            "title": f"({problem}) || ' on ' || {host}",
            "labels": self._words.json(f"'{{' || {members} || '}}'"),
        }

    def _services(self, number: str) -> str:
        return f"'[\"service-' || {_mix(number, 9, 200)} || '\",\"resource-' || {_mix(number, 13, 2000)} || '\"]'"

    def _entry(self, number: str, seq: str) -> dict[str, str]:
        at = f"{self._opened_at(number)} + {seq}"
        return {"incident_id": self._incident_id(number), "seq": seq, "at": self._words.time(at)}

    def _key(self) -> dict[str, str]:
        count, total = self._fingerprints, self._shape.incidents
        newest = f"({total} - ({total} - s.n) % {count})"
        active = f"({self._active(newest)})"
        at = self._opened_at(newest)
        names = ("first_seen_at", "last_seen_at", "last_fired_at")
        return {
            "fingerprint": self._fingerprint("s.n"),
            "incident_id": self._incident_id(newest),
            "open": active,
            "firing": active,
            **{name: self._words.time(at) for name in names},
        }

    def _fingerprint(self, number: str) -> str:
        return f"substr(t.fingerprint, 1, 54) || {self._words.hex(f'({number}) % {self._fingerprints}', 12)}"

    def _opened_at(self, number: str) -> str:
        return f"({self._shape.now} - ({self._shape.incidents + 1} - {number}) * {GAP_SECONDS})"

    def _incident_id(self, number: str) -> str:
        return self._words.uuid(self._opened_at(f"({number})"), f"({number})")

    def _active(self, number: str) -> str:
        age = f"({self._shape.incidents} - {number})"
        old = max(2, self._shape.incidents // ACTIVE_OLD)
        return f"(({age} < {ACTIVE_NEWEST} AND {age} % {ACTIVE_EVERY} = 0) OR {number} % {old} = 1 OR {number} = 2)"


def _mix(number: str, salt: int, below: int) -> str:
    """Return a number below a bound that looks like chance, the same for the same ones."""
    return f"((({number}) * {7919 + salt * 2606} + {salt * 104_729}) % 1000003 % {below})"


def _pick(choice: Sequence[str], number: str, salt: int) -> str:
    """Return one of several texts, each as often as it is named."""
    width = max(map(len, choice))
    padded = "".join(value.ljust(width) for value in choice)
    return f"rtrim(substr('{padded}', CAST(1 + {width} * {_mix(number, salt, len(choice))} AS INTEGER), {width}))"
