"""What would become of an alert: the decision that intake would take now, with nothing locked and nothing written."""

from incident_manager.flows import dedup_keys
from incident_manager.flows.intake.results import STATUS_OF
from incident_manager.flows.intake.submissions import Submission
from incident_manager.flows.units import Unit
from incident_manager.ids import new_id
from incident_manager.models.incidents import Incident
from incident_manager.rules import dedup
from incident_manager.rules.dedup import Decision, KeyState, Reason, Verdict
from incident_manager.schemas.alerts import AlertPreview
from incident_manager.store import alerts as alert_store
from incident_manager.store import incidents as incident_store


async def preview(unit: Unit, submission: Submission) -> AlertPreview:
    """Return what intake would decide now; by the time the alert comes, it may be something else."""
    mark, policy = submission.row.fingerprint, submission.policy
    key = await alert_store.find_key(unit.session, mark)
    known = dedup_keys.known_state(key, new_id()) if key else KeyState()
    decision, incident = dedup.decide(known, submission.report, policy), None
    if decision.verdict in {Verdict.ATTACH, Verdict.ACKNOWLEDGE} and known.incident_id:
        incident = await incident_store.get(unit.session, str(known.incident_id))
    elif decision.verdict is Verdict.RESOLVE:
        decision, incident = await _resolved(unit, mark, known)
    return AlertPreview(
        fingerprint=mark,
        mode=policy.mode,
        window_seconds=int(policy.window.total_seconds()),
        outcome=decision.verdict,
        status=STATUS_OF[decision.verdict],
        reason=decision.reason,
        message=dedup.MESSAGES[decision.reason],
        incident_id=incident.id if incident else None,
        incident_number=incident.number if incident else None,
    )


async def _resolved(unit: Unit, mark: str, known: KeyState) -> tuple[Decision, Incident | None]:
    """Return what a resolve does to the newest of the open incidents that it names."""
    found = await incident_store.list_open(unit.session, {mark: known.incident_id})
    if not found:
        return Decision(Verdict.NOTHING, Reason.NOTHING_OPEN), None
    newest = found[-1]
    firing = await alert_store.list_firing(unit.session, newest) if newest.holds_several else ()
    return dedup.ends(others_firing=bool(set(firing) - {mark})), newest
