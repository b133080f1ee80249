"""What is sent: the usual alert, with a place where each has its own number."""

import msgspec

PLACE = "@" * 12  # as wide as the number that is put there, so that every body has the same length

USUAL = {
    "source": "prometheus",
    "title": f"Disk of db-{PLACE} will be full in four hours",
    "description": "Filesystem ext4 on /var/lib/postgresql has 8.21 % left and loses 1.9 GiB an hour.",
    "severity": "P2",
    "alert_type": "Infrastructure",
    "labels": {
        "alertname": "NodeFilesystemSpaceFillingUp",
        "cluster": "prod-eu-1",
        "device": "/dev/nvme1n1",
        "fstype": "ext4",
        "job": "node-exporter",
        "mountpoint": "/var/lib/postgresql",
        "namespace": "databases",
        "severity": "warning",
    },
    "annotations": {"summary": "Filesystem is predicted to run out of space within the next hours."},
    "affected_services": ["checkout", "orders"],
    "runbook_url": "https://runbooks.example.com/node/filesystem",
}
USUAL_BODY = msgspec.json.encode(USUAL)


def around_the_number() -> tuple[str, str]:
    """Return the usual body's text before and after its number."""
    before, _, after = USUAL_BODY.decode().partition(PLACE)
    return before, after
