"""The services of Mainstay, one folder each. None imports another: they speak by events.

All read the packaged IANA zones and never the machine's, so that one answer holds everywhere.
"""

import zoneinfo

zoneinfo.reset_tzpath(to=())  # left alone, zoneinfo asks the machine's own database first
