"""Tests, by price: unit, bus, contracts, service, system, browser, faults; stack tests the stack."""
