"""The rules of health as frozen values and pure functions: no I/O, no clock, no framework."""
