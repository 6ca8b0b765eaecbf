"""`python -m deploy.sink --smtp-port 8025 --page-port 8026`: takes all mail and delivers none."""

import argparse
import asyncio
from datetime import UTC, datetime

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.ports import HOST
from deploy.sink.letters import Letters
from deploy.sink.pages import app

LETTER_BYTES = 10 * 1024 * 1024


class Taking:
    """Takes every letter, for whomever it is."""

    def __init__(self, letters: Letters) -> None:
        self._letters = letters

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _protocol: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep the letter."""
        self._letters.add(
            at=datetime.now(UTC),
            sender=envelope.mail_from or "",
            recipients=envelope.rcpt_tos,
            wire=envelope.original_content or b"",
        )
        return "250 OK"


async def run(smtp_port: int, page_port: int) -> None:
    """Serve both ports until SIGTERM."""
    letters = Letters()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Taking(letters), hostname="localhost", data_size_limit=LETTER_BYTES),
        HOST,
        smtp_port,
    )
    page = uvicorn.Server(
        uvicorn.Config(app(letters), host=HOST, port=page_port, log_level="warning")
    )
    async with server:
        await page.serve()


def main() -> None:
    """Read the ports, and run."""
    parser = argparse.ArgumentParser(prog="python -m deploy.sink")
    parser.add_argument("--smtp-port", type=int, default=8025)
    parser.add_argument("--page-port", type=int, default=8026)
    given = parser.parse_args()
    asyncio.run(run(given.smtp_port, given.page_port))


if __name__ == "__main__":
    main()
