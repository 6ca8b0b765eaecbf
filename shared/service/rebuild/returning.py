"""The way back from a rebuild, and the end of it."""

from collections.abc import Callable

from sqlalchemy import text

from shared.service.rebuild import carrying, report, swap
from shared.service.rebuild.catalog import list_schemas, list_tables
from shared.service.rebuild.conduct import LOCK_TIMEOUT
from shared.service.rebuild.rules import rules_of
from shared.service.rebuild.session import alone, database_of
from shared.service.rebuild.shadow import NotMigrated, SchemaUnknown
from shared.service.value import Service


async def return_to(service: Service, retired: str, say: Callable[[str], None]) -> None:
    """Swap the tables of `retired` in; they then fold what came since, as consumers always do.

    Raises SchemaUnknown, NotMigrated, RebuildRuns.
    """
    async with alone(service) as tx, tx.begin():
        live = database_of(service).schema
        if retired not in await list_schemas(tx, begins_with=swap.retired_begin(live)):
            raise SchemaUnknown(f"there is no schema {retired} to return to")
        await tx.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        tables = await list_tables(tx, live)
        known = await list_tables(tx, retired)
        if tables != {name: table for name, table in known.items() if name != swap.AT_SWAP}:
            raise NotMigrated(f"the tables of {retired} are older than those of {live}")
        rules = rules_of(service, tables)
        await swap.stop_consumers(tx, live)
        await swap.stop_writers(tx, live, tables, rules.owned)
        await swap.stand_where_retired(tx, retired)
        await carrying.replace_owned(tx, rules.owned, source=live, target=retired)
        await carrying.carry_over(tx, tables, service=service.name, source=live, target=retired)
        name = await swap.swap(tx, live, retired)
    say(report.swapped(service.name, name, kept_hours=swap.RETIRED_HOURS))


async def drop_all_retired(service: Service, say: Callable[[str], None]) -> None:
    """Drop all that rebuilds have retired."""
    async with alone(service) as tx, tx.begin():
        dropped = await swap.drop_retired(tx, database_of(service).schema)
    say(f"dropped {', '.join(dropped) or 'nothing'}")
