"""Real PostgreSQL without containers, as root and as an ordinary user alike.

`programs.py` finds the binaries; `identity.py` decides as whom they run; `server.py` is the
handle; `databases.py` gives every service its database and role.
"""
