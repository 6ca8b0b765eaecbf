"""`python -m deploy.docs [--check]`: write deploy/docs/generated, or fail when it is stale."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.docs.asyncapi import asyncapi
from deploy.docs.services import SERVICES, built, environment
from deploy.docs.tables import metrics_page, settings_page, topics_page
from shared.service import app_of

GENERATED = Path(__file__).parent / "generated"


async def pages() -> dict[str, str]:
    """Every generated file by name."""
    os.environ.update(environment())
    services = {name: built(name) for name in SERVICES}
    documents: dict[str, Mapping[str, Any]] = {
        f"openapi/{name}.json": app_of(service).openapi() for name, service in services.items()
    }
    documents["asyncapi.json"] = asyncapi(services)
    return {name: _json(document) for name, document in documents.items()} | {
        "topics.md": topics_page(services),
        "settings.md": settings_page(services),
        "metrics.md": metrics_page(),
    }


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stale(made: Mapping[str, str]) -> list[str]:
    """Names of files that differ from what the code says now, or that nobody makes any more."""
    standing = {
        str(path.relative_to(GENERATED)): path.read_text()
        for path in GENERATED.rglob("*")
        if path.is_file()
    }
    return sorted(
        name for name in made.keys() | standing.keys() if made.get(name) != standing.get(name)
    )


def write(made: Mapping[str, str]) -> None:
    """Write what differs and remove what nobody makes any more."""
    for name in stale(made):
        path = GENERATED / name
        if name in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[name])
        else:
            path.unlink()
        print(f"{'wrote' if name in made else 'removed'} deploy/docs/generated/{name}")


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when stale")
    made = asyncio.run(pages())
    if not parser.parse_args().check:
        write(made)
    elif names := stale(made):
        sys.exit(f"stale, run `make docs`: {', '.join(names)}")


if __name__ == "__main__":
    main()
