"""Which tables are in their newest form already, so that a second `make up` need not ask again.

Asking takes a Python start per service. Only for databases that nobody else can empty: those of
the native form, which live and die with this note.
"""

import hashlib
import json

from deploy.local.layout import HOME, ROOT
from deploy.local.services import Service

NOTE = HOME / "migrated.json"


def is_up_to_date(service: Service, data: str) -> bool:
    """Whether this very schema was brought into the databases kept in `data` before."""
    return _notes().get(service.name) == _fingerprint(service, data)


def note(service: Service, data: str) -> None:
    """Remember that it was."""
    notes = {**_notes(), service.name: _fingerprint(service, data)}
    draft = NOTE.with_suffix(".draft")
    draft.write_text(json.dumps(notes, indent=2))
    draft.replace(NOTE)


def _notes() -> dict[str, str]:
    try:
        return dict(json.loads(NOTE.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _fingerprint(service: Service, data: str) -> str:
    migrations = ROOT / "services" / service.name / "migrations"
    files = sorted([*migrations.rglob("*.py"), *(ROOT / "shared").rglob("*.py"), ROOT / "uv.lock"])
    digest = hashlib.sha256(data.encode())
    for file in files:
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
