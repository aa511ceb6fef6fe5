"""The lab: a local hub that the real Azure SDKs and real devices talk to. control.py starts and stops it; cloud/ is it."""
