"""Secrets made on this machine: drawn once, kept in one file that only its owner can read."""

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import StackError


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of one stack, in `file`."""

    file: Path

    def get(self, name: str) -> str | None:
        """The secret of that name; None when none was kept."""
        return self._all().get(name)

    def get_or_draw(self, name: str) -> str:
        """The secret of that name, drawn and kept at the first call: 32 letters, digits, - or _."""
        return self.get(name) or self._keep_one(name, secrets.token_urlsafe(24))

    def get_or_draw_webhook_secret(self, name: str) -> str:
        """The same in the form of Standard Webhooks and Stripe: `whsec_` and base64 of 24 bytes."""
        drawn = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        return self.get(name) or self._keep_one(name, drawn)

    def keep(self, named: Mapping[str, str]) -> None:
        """Add or replace secrets, in one step."""
        draft = self.file.with_suffix(".draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({**self._all(), **named}, indent=2))
        draft.replace(self.file)

    def forget(self, *names: str) -> None:
        """Drop secrets that are no longer valid."""
        kept = {name: secret for name, secret in self._all().items() if name not in names}
        self.file.unlink(missing_ok=True)
        self.keep(kept)

    def _keep_one(self, name: str, secret: str) -> str:
        self.keep({name: secret})
        return secret

    def _all(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.file.read_text()))
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StackError(f"{self.file} is damaged; `make reset` starts afresh") from error
