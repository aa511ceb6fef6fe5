"""Firmware: built, flashed, and its log understood."""
