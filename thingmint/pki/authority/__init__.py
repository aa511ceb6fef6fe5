"""Authorities: which there are and who issued whom, how one is made, delegated, and proven to the hub."""
