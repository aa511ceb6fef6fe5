"""The verbs as plain functions: each validates, then composes pki, hub, device and lab. tasks.py only calls them."""
