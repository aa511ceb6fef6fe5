"""Devices: one identity, its renewal, a key that its modem keeps, and whole series."""
