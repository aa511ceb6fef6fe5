"""Firmware for the device: built with the SDK's own tools, written into the device, and its log understood."""
