"""The verbs as plain functions: each validates, then composes pki, hub, device and lab. tasks.py only calls them.

Each room may use those above it, and none below:

    (here)      targets (from the configuration to an open hub), options (command-line values), consent (asking first)
    hub         the hub and its provisioning service: made, looked at, told of authorities and devices, spoken through
    authority   rootca, subca, verify; handed on between workspaces; what exists, and the clean-up
    device      one, many, renewed, revoked; what it presents, and the proof that it is heard
    modem       what is in it; credentials loaded, each proven; a key made there
    network     what the addresses of networks without IPv4 stand for
    firmware    an application built, flashed, and its log understood
    lab         the lab, the simulated device, advise; and the rehearsal, which joins everything
"""
