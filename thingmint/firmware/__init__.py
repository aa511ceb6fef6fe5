"""Firmware for the device: built with the SDK's own tools, written into the device, and its log understood.

To build: editions (what differs from SDK to SDK), sdk (which one is here), application (what is built), kconfig (the
device's fragment, and what became of it), west (the build), failures (its error texts, in words), artefacts (what came
out of it), keyless (no private key in it). To begin an application of one's own: sample. To write: flash. To read: log.
"""
