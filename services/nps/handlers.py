"""Event door of nps: which events it reads, and which function answers each."""

from shared.service import CONTROL_LANE

LANES = (CONTROL_LANE,)
