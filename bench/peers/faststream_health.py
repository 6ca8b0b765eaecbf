"""A consumer as a FastStream tutorial shows it: one handler call and one commit per message.

Pydantic decodes the event, SQLAlchemy upserts the account's day, the session commits, FastStream
commits the offset by itself. What the real consumer does beyond that (dropping repeats, offsets in
the same transaction, use by person and feature, habits, dead letters) is left out, which favours
this form.
"""

import argparse
import asyncio
from datetime import date, datetime

from faststream import FastStream
from faststream.kafka import KafkaBroker
from pydantic import BaseModel
from sqlalchemy import BigInteger, Date, DateTime, Text, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables."""


class AccountDay(Base):
    """What an account did on a day."""

    __tablename__ = "account_day"

    workspace: Mapped[str] = mapped_column(Text, primary_key=True)
    account: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    events: Mapped[int] = mapped_column(BigInteger)
    first_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Usage(BaseModel):
    """Somebody used a feature."""

    user: str | None = None
    event: str
    feature: str


class UsageTracked(BaseModel):
    """The event as it stands in Kafka: a structured CloudEvent."""

    id: str
    source: str
    type: str
    time: datetime
    workspace: str
    subject: str
    data: Usage


def build_app(*, bootstrap: str, topic: str, group: str, database_url: str) -> FastStream:
    """The application; reads `topic` from its beginning."""
    engine = create_async_engine(database_url)
    sessions = async_sessionmaker(engine)
    broker = KafkaBroker(bootstrap, logger=None)  # by default it logs two lines a message

    @broker.subscriber(topic, group_id=group, auto_offset_reset="earliest")
    async def usage_tracked(body: bytes) -> None:
        event = UsageTracked.model_validate_json(body)
        added = insert(AccountDay).values(
            workspace=event.workspace,
            account=event.subject,
            day=event.time.date(),
            events=1,
            first_at=event.time,
            last_at=event.time,
        )
        statement = added.on_conflict_do_update(
            index_elements=[AccountDay.workspace, AccountDay.account, AccountDay.day],
            set_={
                "events": AccountDay.events + 1,
                "first_at": func.least(AccountDay.first_at, added.excluded.first_at),
                "last_at": func.greatest(AccountDay.last_at, added.excluded.last_at),
            },
        )
        async with sessions.begin() as session:
            await session.execute(statement)

    async def create_tables() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    return FastStream(broker, on_startup=[create_tables], after_shutdown=[engine.dispose])


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--database-url", required=True)
    arguments = parser.parse_args()
    app = build_app(
        bootstrap=arguments.bootstrap,
        topic=arguments.topic,
        group=arguments.group,
        database_url=arguments.database_url,
    )
    asyncio.run(app.run())


if __name__ == "__main__":
    main()
