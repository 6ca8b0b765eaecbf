"""A service as one value, and how it runs. Read: value, door, running, stopping,
watchdog (what ends it when it stands still), housekeeping, command, rebuild.
"""

from shared.service.command import main
from shared.service.door import app_of
from shared.service.running import run
from shared.service.value import CONTROL_LANE, Role, Service

__all__ = ["CONTROL_LANE", "Role", "Service", "app_of", "main", "run"]
