"""The services as the docs see them: built, never started."""

from importlib import import_module

from shared.service import Service

SERVICES = ("console", "ingest", "health", "cadence", "nps", "metrics")


def built(name: str) -> Service:
    """The service as its own `__main__` builds it."""
    service: Service = import_module(f"services.{name}.__main__").build()
    return service


def environment() -> dict[str, str]:
    """Settings that are enough to build every service. Nothing connects anywhere."""
    addresses = {
        f"DATABASE_URL_{name.upper()}": f"postgresql://{name}@127.0.0.1/{name}" for name in SERVICES
    }
    return addresses | {
        "OPERATOR_KEY": "only-for-docs",
        "CADENCE_SECRETS": "only-for-docs-only",
    }
