"""The local stack itself: what `make up`, `make test` and the fault tests stand on."""
