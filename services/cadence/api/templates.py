"""Routes of templates: what a workspace has, a new version of one, and how it reads to somebody."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from services.cadence.model.delivery import OUTSIDE_CONSENT
from services.cadence.model.lint_mail import Finding, lint_mail
from services.cadence.model.templates import (
    SOURCE_CHARACTERS,
    Source,
    TemplateRefused,
    compile_template,
    with_links,
)
from services.cadence.settings import CadenceSettings
from services.cadence.store import messages, recipients, templates
from services.cadence.store.journeys import list_offered
from services.cadence.store.known import list_numbers
from services.cadence.store.templates import Written
from shared.auth import Managing, Reading
from shared.http import NotFound, Page, Transaction

router = APIRouter()

Id = Annotated[str, Path(description="The template's id.", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Locale = Annotated[str, Path(description="Its language.", pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})?$")]
ERROR = "error"


class WrittenBody(BaseModel):
    """A template in one language."""

    template: str = Field(description="Its id.")
    locale: str = Field(description="Its language.")
    version: int = Field(description="The version that counts.")
    own: bool = Field(description="The workspace's, and not as it is shipped.")

    @classmethod
    def of(cls, written: Written) -> "WrittenBody":
        """The template, shown."""
        return cls(**written._asdict())


class SourceBody(BaseModel):
    """A template as it is written: Liquid in the subject, Liquid and MJML in the body."""

    subject: str = Field(min_length=1, max_length=SOURCE_CHARACTERS, description="The subject.")
    body: str = Field(min_length=1, max_length=SOURCE_CHARACTERS, description="MJML.")


class FindingBody(BaseModel):
    """Something that is wrong with a template."""

    severity: str = Field(description="error or warning")
    code: str = Field(description="Stable code.")
    message: str = Field(description="What, in words.")

    @classmethod
    def of(cls, finding: Finding) -> "FindingBody":
        """The finding, shown."""
        return cls(severity=finding.severity, code=finding.rule, message=finding.message)


class TemplateBody(SourceBody):
    """A template with its version, and what is wrong with it."""

    template: str = Field(description="Its id.")
    locale: str = Field(description="Its language.")
    version: int = Field(description="The version that counts.")
    findings: list[FindingBody] = Field(description="Warnings; an error is refused.")

    @classmethod
    def of(cls, source: Source, findings: Sequence[Finding]) -> "TemplateBody":
        """The template, shown."""
        return cls(
            template=source.template,
            locale=source.locale,
            version=source.version,
            subject=source.subject,
            body=source.body,
            findings=[FindingBody.of(finding) for finding in findings],
        )


class PreviewAsked(BaseModel):
    """For whom, and with what words beside what is known."""

    user: str = Field(max_length=200, description="A person of the workspace.")
    facts: dict[str, Any] = Field(default_factory=dict, description="What the message speaks of.")
    source: SourceBody | None = Field(
        default=None, description="What is not kept yet; null: the template as it stands."
    )


class Preview(BaseModel):
    """A template as this person would read it; links lead straight to where they lead."""

    locale: str = Field(description="The language it was found in.")
    subject: str = Field(description="The subject.")
    html: str = Field(description="The page.")
    text: str = Field(description="The plain text.")


@router.get("/templates", summary="The templates of a workspace")
async def list_templates(caller: Reading, tx: Transaction) -> Page[WrittenBody]:
    """Its own and those that are shipped, all on one page."""
    written = await templates.list_written(tx, caller.workspace)
    return Page(items=[WrittenBody.of(each) for each in written], next_cursor=None)


@router.get("/templates/{template}/{locale}", summary="A template as it is written")
async def get_template(
    caller: Reading, tx: Transaction, template: Id, locale: Locale
) -> TemplateBody:
    """The version that counts, in English where that language is not written. Raises NotFound."""
    source = await _source(tx, caller.workspace, template, locale)
    return TemplateBody.of(source, await _findings(tx, caller.workspace, source))


@router.put("/templates/{template}/{locale}", summary="Give a template a new version")
async def put_template(
    caller: Managing, tx: Transaction, template: Id, locale: Locale, given: SourceBody
) -> TemplateBody:
    """It is compiled and looked over before it is kept. Raises TemplateRefused."""
    source = Source(template=template, locale=locale, subject=given.subject, body=given.body)
    compile_template(source)
    findings = await _findings(tx, caller.workspace, source)
    if errors := [finding for finding in findings if finding.severity == ERROR]:
        raise TemplateRefused("; ".join(finding.message for finding in errors))
    now = await messages.get_now(tx)
    kept = await templates.append_template(tx, caller.workspace, source, at=now)
    return TemplateBody.of(kept, findings)


@router.post("/templates/{template}/preview", summary="A template as one person would read it")
async def preview_template(
    request: Request, caller: Reading, tx: Transaction, template: Id, asked: PreviewAsked
) -> Preview:
    """With the person's own data. Nothing is sent. Raises NotFound, TemplateRefused."""
    person = (caller.workspace, asked.user)
    recipient = (await recipients.list_recipients(tx, [person])).get(person)
    if recipient is None:
        raise NotFound(f"nobody is known as {asked.user!r}")
    if asked.source is None:
        source = await _source(tx, caller.workspace, template, recipient.locale)
    else:
        source = Source(
            template=template,
            locale=recipient.locale,
            subject=asked.source.subject,
            body=asked.source.body,
        )
    settings: CadenceSettings = request.app.state.settings
    numbers = await list_numbers(tx, [caller.workspace], words=settings.words)
    filled = compile_template(source).fill(
        {
            **numbers[caller.workspace].words,
            **asked.facts,
            "person": {
                "name": recipient.name,
                "id": recipient.user,
                "locale": recipient.locale,
            },
            "account": {"id": None},
            "unsubscribe_url": f"{settings.public_url}/u/preview",
        }
    )
    shown = with_links(filled, [target or "" for target in filled.targets])
    return Preview(locale=source.locale, subject=shown.subject, html=shown.html, text=shown.text)


async def _source(tx: Transaction, workspace: str, template: str, locale: str) -> Source:
    wanted = (workspace, template, locale)
    source = (await templates.list_sources(tx, [wanted])).get(wanted)
    if source is None:
        raise NotFound(f"there is no template {template!r}")
    return source


async def _findings(tx: Transaction, workspace: str, source: Source) -> list[Finding]:
    """What is wrong; a template that only notices are written from needs no way to leave."""
    offered = await list_offered(tx, [workspace])
    of_lists = {
        step.template
        for each in offered[workspace]
        if each.program.purpose not in OUTSIDE_CONSENT
        for step in each.program.steps
    }
    of_notices = {
        step.template for each in offered[workspace] for step in each.program.steps
    } - of_lists
    return lint_mail(source, leaves_list=source.template not in of_notices)
