"""Incidents that hold several fingerprints, since a merge: which of those fire, and what their keys are told when one ends."""

from collections.abc import Mapping, MutableMapping, Sequence

import msgspec

from incident_manager.flows import dedup_keys
from incident_manager.flows.units import Unit
from incident_manager.models.incidents import Incident
from incident_manager.rules import lifecycle
from incident_manager.rules.dedup import KeyState
from incident_manager.store import alerts as alert_store
from incident_manager.store.alerts import Firing


class Folded:
    """What a part of a batch must know of such incidents; empty, and without a statement, where there are none."""

    def __init__(self, incidents: Sequence[Incident] = (), firing: Sequence[Firing] = ()) -> None:
        self._incidents = incidents
        self._firing = firing

    @classmethod
    async def of(cls, unit: Unit, locked: Sequence[Incident]) -> "Folded":
        """Look which fingerprints fire, after the incidents are locked: so of two resolves at once the later one sees both."""
        several = [incident for incident in locked if incident.holds_several]
        return cls(several, await alert_store.list_firing(unit.session, several) if several else ())

    def others_fire(self, incident: Incident, mark: str, states: Mapping[str, KeyState]) -> bool:
        """Say whether another fingerprint than `mark` still fires in an incident; what this batch knows counts first."""
        if not incident.holds_several:
            return False
        stored = {key.fingerprint for key in self._firing if _belongs(incident, key.fingerprint, key)}
        decided = {name for name, state in states.items() if _belongs(incident, name, state)}
        firing = (stored - states.keys()) | {name for name in decided if states[name].firing}
        return bool(firing - {mark})

    async def let_keys_follow(self, unit: Unit, states: MutableMapping[str, KeyState]) -> None:
        """Tell the keys of incidents that have ended now, those of this batch in their states."""
        for incident in self._incidents:
            if lifecycle.is_active(incident.state):
                continue
            keys = await alert_store.lock_keys_of(unit.session, [str(incident.id)])
            await dedup_keys.follow(unit, keys, incident)
            for key in keys:
                if (state := states.get(key.fingerprint)) and state.incident_id == incident.id:
                    states[key.fingerprint] = msgspec.structs.replace(state, incident_id=key.incident_id, open=key.open)


def _belongs(incident: Incident, mark: str, key: Firing | KeyState) -> bool:
    return key.incident_id == incident.id or mark == incident.fingerprint
