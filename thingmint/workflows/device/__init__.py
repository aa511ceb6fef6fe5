"""Devices: their certificates and identities, from the first to the last, and the proof that one is heard."""
