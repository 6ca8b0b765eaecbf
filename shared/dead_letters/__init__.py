"""The routes that every consuming service has for what it gave up on. Read: bodies, parameters,
routes.
"""

from shared.dead_letters.parameters import UNKNOWN, Filtered
from shared.dead_letters.routes import judging, showing

__all__ = ["UNKNOWN", "Filtered", "judging", "showing"]
