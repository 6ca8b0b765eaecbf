"""What a workspace says of how much of its people's attention may be asked for."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from services.cadence.model.eligibility import Attention
from services.cadence.store.known import list_own_numbers
from shared.db import Tx


async def list_attention(
    tx: Tx, workspaces: Collection[str], usual: Attention
) -> Mapping[str, Attention]:
    """The caps and quiet hours of each workspace; `usual` where it has none of its own."""
    own = await list_own_numbers(tx, workspaces)
    return {
        workspace: replace(usual, caps=own[workspace].caps, quiet=own[workspace].policy.quiet)
        if workspace in own
        else usual
        for workspace in workspaces
    }
