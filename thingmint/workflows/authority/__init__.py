"""Authorities: made, proven to the hub, handed on, looked at."""
