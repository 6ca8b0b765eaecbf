"""The books of recurring revenue as frozen values and pure functions: no I/O, no clock.

Facts become prices (`pricing`, `state`), prices become an account's timeline (`timeline`), and
everything that is reported is read off timelines: `movements`, `months`, `windows`, `cohorts`,
`committed`, `bridge`. No exchange rate stands in a timeline; rates come in when a figure is read.
"""

POLICY_VERSION = 1  # of the rules P01-P28; stamped on every figure
