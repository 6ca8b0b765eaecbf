"""Health: how each account uses the product, what that says about it, and why.

Owns the account view (what was said of an account and its people), the daily rollups of use and
the usage score. Consumes use, live, overflow and history (`ingest.usage.*`), what is said of
accounts and people (`ingest.accounts.v1`), and keys and settings. Publishes how far it has read;
scores are not events: they are read as of any instant.
"""
