"""A product backend that never gives up: `python -m tests.faults.traffic --url ... --ledger ...`.

Each account is a task of its own that sends numbered batches in order, one at a time, and sends a
batch that was not told 200 again, with the same ids, as the SDKs do. What was told 200 is on disk
before it counts. SIGTERM: every account ends its batch, or leaves it unknown after a while.
"""

import argparse
import asyncio
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.faults.ledger import Ledger, LedgerWriter, Outcome, Sent

ANSWER_SECONDS = 15.0  # beyond every bound of the edge: who answers later has hung
RETRY_FIRST_SECONDS = 0.1
RETRY_LAST_SECONDS = 1.0
FEATURES = ("reports", "export", "search", "sharing", "import")
FUTURE_DAYS = 300


@dataclass(frozen=True)
class Order:
    """What to send, and where."""

    url: str
    key: str
    workspace: str
    seed: int
    accounts: int
    batch: int
    pause_seconds: float
    repeats: float  # share of batches that are sent once more after their 200
    grace_seconds: float
    days: float  # events happened up to so many days ago
    future_share: float  # of events that happen up to FUTURE_DAYS from now


class Backend:
    """Sends for all accounts until asked to stop."""

    def __init__(self, order: Order, writer: LedgerWriter, client: httpx.AsyncClient) -> None:
        self._order = order
        self._writer = writer
        self._client = client
        self._give_up_at = float("inf")
        self.stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until `stopping`."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._order.accounts):
                group.create_task(self._account(number))
            await self.stopping.wait()
            self._give_up_at = time.monotonic() + self._order.grace_seconds

    async def _account(self, number: int) -> None:
        order = self._order
        chance = random.Random(f"{order.seed}/{number}")
        account = f"{order.workspace}-a{number}"
        seq = 0
        while not self.stopping.is_set():
            size = chance.randint(1, 2 * order.batch - 1)
            sent = [Sent(f"{account}-{seq + n}", account, seq + n) for n in range(size)]
            body = {"batch": [self._event(one, chance) for one in sent]}
            seq += size
            if await self._until_acknowledged(sent, body) and chance.random() < order.repeats:
                await self._post(account, body)
            await asyncio.sleep(chance.uniform(0, 2 * order.pause_seconds))

    async def _until_acknowledged(self, sent: Sequence[Sent], body: dict[str, Any]) -> bool:
        """Send until told 200; False when the time to give up came first."""
        self._writer.sending(sent)
        wait = RETRY_FIRST_SECONDS
        while not await self._post(sent[0].account, body):
            if time.monotonic() > self._give_up_at:
                return False
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_LAST_SECONDS)
        self._writer.acknowledged(sent)
        return True

    async def _post(self, account: str, body: dict[str, Any]) -> bool:
        """Whether every event of the batch was told to be accepted, now or earlier."""
        began = time.time()
        try:
            answer = await self._client.post("/v1/batch", auth=(self._order.key, ""), json=body)
        except httpx.TransportError:
            answer = None
        at, status = time.time(), answer.status_code if answer is not None else 0
        self._writer.outcome(Outcome(at, status, at - began, len(body["batch"]), account))
        if answer is None or status != httpx.codes.OK:
            return False
        told = answer.json()
        assert not told["rejected"], told
        return True

    def _event(self, sent: Sent, chance: random.Random) -> dict[str, Any]:
        days = -chance.uniform(0, self._order.days)
        if chance.random() < self._order.future_share:
            days = chance.uniform(1, FUTURE_DAYS)
        return {
            "type": "track",
            "messageId": sent.message_id,
            "userId": f"{sent.account}-u{chance.randrange(5)}",
            "event": "Worked",
            "timestamp": (datetime.now(UTC) + timedelta(days=days)).isoformat(),
            "context": {"groupId": sent.account},
            "properties": {
                "feature": chance.choice(FEATURES),
                "seq": sent.seq,
                "marker": self._order.workspace,
            },
        }


async def send(order: Order, ledger: Ledger) -> None:
    """Send until SIGTERM."""
    # No connection is kept for long: an edge that restarts closes them all.
    limits = httpx.Limits(max_connections=order.accounts, keepalive_expiry=5)
    async with httpx.AsyncClient(
        base_url=order.url, timeout=ANSWER_SECONDS, limits=limits, trust_env=False
    ) as client:
        backend = Backend(order, LedgerWriter(ledger), client)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, backend.stopping.set)
        await backend.run()


def main() -> None:
    parser = argparse.ArgumentParser(description="Send numbered events until SIGTERM.")
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--accounts", type=int, default=6)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--pause-seconds", type=float, default=0.25)
    parser.add_argument("--repeats", type=float, default=0.05)
    parser.add_argument("--grace-seconds", type=float, default=45.0)
    parser.add_argument("--days", type=float, default=20.0)
    parser.add_argument("--future-share", type=float, default=0.0)
    told = vars(parser.parse_args())
    ledger = Ledger(told.pop("ledger"))
    asyncio.run(send(Order(**told), ledger))


if __name__ == "__main__":
    main()
