"""Devices: one identity, its renewal, and whole series."""
