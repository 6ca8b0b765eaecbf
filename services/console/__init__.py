"""console: the web pages that people look at.

Owns no rule and no table: it reads the APIs of the other services with the visitor's own read key
and shows what they answer. Pages are made on the server, work without JavaScript, and load nothing
from elsewhere.
"""
