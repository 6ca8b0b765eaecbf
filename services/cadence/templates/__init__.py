"""The templates that are shipped, by id and language: a first line `subject: ...`, then MJML."""

from collections.abc import Mapping
from pathlib import Path

from services.cadence.model.templates import Source

SUBJECT = "subject: "
SUFFIX = ".mjml"


def _read(file: Path) -> Source:
    template, _, locale = file.name.removesuffix(SUFFIX).rpartition(".")
    head, _, body = file.read_text(encoding="utf-8").partition("\n")
    assert head.startswith(SUBJECT), f"{file.name} begins with its subject"
    return Source(template=template, locale=locale, subject=head.removeprefix(SUBJECT), body=body)


SHIPPED: Mapping[tuple[str, str], Source] = {
    (source.template, source.locale): source
    for source in map(_read, sorted(Path(__file__).parent.glob(f"*{SUFFIX}")))
}
