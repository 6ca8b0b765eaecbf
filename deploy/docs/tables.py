"""Pages that are one table each: topics with their readers, settings, metrics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import REGISTRY
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from shared import telemetry
from shared.events import TOPICS
from shared.service import Service
from shared.settings import ServiceSettings


def table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in rows)


def _cell(text: str) -> str:
    """A cell on one line; a bar would end it."""
    return " ".join(text.split()).replace("|", r"\|")


def topics_page(services: Mapping[str, Service]) -> str:
    """Every topic with its producer, key, partitions, retention and readers."""
    readers: dict[str, list[str]] = {name: [] for name in TOPICS}
    for name, service in services.items():
        for topic in {topic.name for lane in service.lanes for topic in lane.topics}:
            readers[topic].append(name)
    lines = [
        (
            f"`{topic.name}`",
            topic.producer,
            f"`{topic.key}`",
            str(topic.partitions),
            "compacted" if topic.compact else _days(topic.retention_days),
            ", ".join(sorted(readers[topic.name])) or "nobody yet",
            topic.description,
        )
        for topic in TOPICS.values()
    ]
    head = ("topic", "producer", "key", "partitions", "kept", "read by", "holds")
    return "# Topics\n\nMade from `shared/events` and the handler tables.\n\n" + table(head, lines)


def _days(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


def settings_page(services: Mapping[str, Service]) -> str:
    """Every environment variable of every service."""
    page = "# Settings\n\nAll from the environment. Made from the settings classes.\n"
    for name, service in services.items():
        lines = sorted(_settings_of(service.settings))
        page += f"\n## {name}\n\n" + table(("variable", "default", "meaning"), lines)
    return page


def _settings_of(settings: ServiceSettings) -> Iterator[tuple[str, str, str]]:
    prefix = str(settings.model_config.get("env_prefix", ""))
    for field_name, field in type(settings).model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            inner = field.annotation
            inner_prefix = str(inner.model_config.get("env_prefix", ""))
            yield from (_setting(inner_prefix, *named) for named in inner.model_fields.items())
        else:
            yield _setting(prefix, field_name, field)


def _setting(prefix: str, name: str, field: FieldInfo) -> tuple[str, str, str]:
    alias: Any = field.validation_alias
    variable = alias.choices[0] if alias is not None else f"{prefix}{name}".upper()
    return f"`{variable}`", _default(field), field.description or ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    untold = field.default is None or isinstance(field.default, SecretStr)
    return "" if untold else f"`{field.default}`"


def metrics_page() -> str:
    """Every metric that a service can show."""
    assert telemetry.HTTP_REQUESTS, "declared on import"
    ours = [
        metric
        for metric in REGISTRY.collect()
        if not metric.name.startswith(("python_", "process_"))
    ]
    lines = sorted((f"`{metric.name}`", metric.type, metric.documentation) for metric in ours)
    head = ("name", "kind", "meaning")
    return "# Metrics\n\nMade from `shared/telemetry.py`.\n\n" + table(head, lines)
