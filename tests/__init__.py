"""Tests, by price: unit, bus, contracts, service, system, browser, faults; and of the stack."""
