"""The services of Mainstay, one folder each. None imports another: they speak by events."""
