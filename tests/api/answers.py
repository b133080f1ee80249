"""What every error looks like from outside."""

import re
from typing import Any

import httpx2

MEMBERS = {"type", "title", "status", "detail", "instance", "code"}


def refused(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this error, in the form of RFC 9457 with an id, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    document: dict[str, Any] = response.json()
    assert document.keys() >= MEMBERS
    assert (document["status"], document["code"]) == (status, code)
    # an integration's address carries its key, which no answer repeats
    shown = re.sub(r"^(/v1/integrations/[^/]+/)[^/]+$", r"\1***", response.request.url.path)
    assert document["instance"] == shown
    assert all(document[name] for name in MEMBERS)
    return document


def fields(response: httpx2.Response) -> list[str]:
    """Return the fields that a 422 names."""
    return [error["field"] for error in refused(response, 422, "VALIDATION_ERROR")["errors"]]
