"""Routes of the settings: the gross margin and the target of net dollar retention."""

from decimal import Decimal
from typing import Annotated, Self
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, model_validator

from services.metrics.store.outgoing import append_caused
from services.metrics.store.settings import get_ndr_target, save_gross_margin, save_ndr_target
from shared.auth import Managing, Reading, get_workspace
from shared.db import Tx
from shared.events.base import Caused
from shared.events.metrics import SettingsChanged
from shared.http import Transaction

router = APIRouter()

Margin = Annotated[Decimal, Field(ge=0, le=1, max_digits=12, decimal_places=10)]
Target = Annotated[Decimal, Field(gt=0, le=100, max_digits=12, decimal_places=8)]


class SettingsBody(BaseModel):
    """The settings as they are."""

    gross_margin: str | None = Field(description="Share of revenue, 0 to 1; null while unknown.")
    ndr_target: str = Field(description="As a ratio: 1.2 is 120 %.")


class SettingsChange(BaseModel):
    """Settings to change; one that is left out stays."""

    gross_margin: Margin | None = Field(
        default=None,
        description="Share of revenue, a decimal string; null: unknown.",
        examples=["0.8"],
    )
    ndr_target: Target | None = Field(
        default=None, description="A ratio, a decimal string.", examples=["1.2"]
    )

    @model_validator(mode="after")
    def names_something(self) -> Self:
        """Refuse a change of nothing."""
        if not self.model_fields_set:
            raise ValueError("name gross_margin or ndr_target")
        if "ndr_target" in self.model_fields_set and self.ndr_target is None:
            raise ValueError("ndr_target cannot be null")
        return self


@router.get("/settings", summary="The settings")
async def get_settings(caller: Reading, tx: Transaction) -> SettingsBody:
    """The gross margin and the target, as they are."""
    return await _settings(tx, caller.workspace)


@router.post("/settings", summary="Change the settings")
async def change_settings(
    request: Request, caller: Managing, tx: Transaction, change: SettingsChange
) -> SettingsBody:
    """Set what is named. Of the margin the later of this and ingest's setting stands in both."""
    named = change.model_fields_set
    if "gross_margin" in named:
        await save_gross_margin(tx, caller.workspace, change.gross_margin)
    if change.ndr_target is not None:
        await save_ndr_target(tx, caller.workspace, change.ndr_target)
    margin = change.gross_margin
    told = SettingsChanged(
        gross_margin=None if margin is None else format(margin, "f"),
        gross_margin_unknown="gross_margin" in named and margin is None,
        ndr_target=None if change.ndr_target is None else format(change.ndr_target, "f"),
    )
    await append_caused(
        tx,
        Caused(
            event=told,
            workspace=caller.workspace,
            cause_id=str(uuid4()),
            time=request.app.state.clock(),
        ),
    )
    return await _settings(tx, caller.workspace)


async def _settings(tx: Tx, workspace: str) -> SettingsBody:
    known = await get_workspace(tx, workspace)
    target = await get_ndr_target(tx, workspace)
    return SettingsBody(
        gross_margin=None if known is None else known.gross_margin,
        ndr_target=format(target.normalize(), "f"),
    )
