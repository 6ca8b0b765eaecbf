"""The demo workspace: created once through the public door of ingest, its keys kept here."""

from collections.abc import Mapping
from itertools import count

import httpx

from deploy.local.credentials import Credentials
from deploy.local.errors import StackError

KEYS = {"write": "WRITE_KEY", "read": "READ_KEY", "manage": "MANAGE_KEY"}
SECRETS = {"stripe": "STRIPE_WEBHOOK_SECRET", "standard": "STANDARD_WEBHOOK_SECRET"}
WORKSPACE = "DEMO_WORKSPACE"
MOST_NAMES = 20


def ensure_demo_workspace(ingest_url: str, credentials: Credentials) -> str:
    """The id of the demo workspace, whose keys are in `credentials` afterwards."""
    with httpx.Client(base_url=ingest_url, timeout=20) as ingest:
        try:
            if _is_known(ingest, credentials):
                return credentials.get(WORKSPACE) or ""
            return _create(ingest, credentials)
        except httpx.TransportError as error:
            raise StackError(f"ingest does not answer at {ingest_url}: {error}") from error


def _is_known(ingest: httpx.Client, credentials: Credentials) -> bool:
    """Whether the keys that we hold still open the workspace (its database may be a new one)."""
    workspace, key = credentials.get(WORKSPACE), credentials.get(KEYS["manage"])
    if workspace is None or key is None:
        return False
    answer = ingest.get(
        f"/v1/workspaces/{workspace}/keys", headers={"Authorization": f"Bearer {key}"}
    )
    return answer.status_code == httpx.codes.OK


def _create(ingest: httpx.Client, credentials: Credentials) -> str:
    """Create it. Keys are shown once: where an earlier start was killed just then, the name is
    taken and its keys are lost, so the next name is tried.
    """
    for number in count(1):
        workspace = "demo" if number == 1 else f"demo-{number}"
        answer = ingest.post(
            "/v1/workspaces",
            headers={"Authorization": f"Bearer {credentials.get_or_draw('OPERATOR_KEY')}"},
            json=_described(workspace, credentials),
        )
        if answer.status_code == httpx.codes.CREATED:
            credentials.keep({WORKSPACE: workspace, **_keys(answer.json()["keys"])})
            return workspace
        if answer.status_code != httpx.codes.CONFLICT or number == MOST_NAMES:
            raise StackError(
                f"ingest refuses the demo workspace: {answer.status_code} {answer.text[:300]}"
            )
    raise AssertionError("count() has no end")


def _described(workspace: str, credentials: Credentials) -> Mapping[str, object]:
    return {
        "id": workspace,
        "name": "Northwind Analytics",
        "time_zone": "Asia/Seoul",
        "reporting_currency": "KRW",
        "locale": "en",
        "gross_margin": "0.78",
        "webhook_secrets": {
            kind: [credentials.get_or_draw_webhook_secret(name)] for kind, name in SECRETS.items()
        },
    }


def _keys(shown: Mapping[str, str]) -> dict[str, str]:
    return {name: shown[scope] for scope, name in KEYS.items()}
