"""thingmint mints device identities, from an empty folder to a cellular device that talks to its hub.

tasks.py holds the verbs. Each calls one function of workflows/, which composes the parts below it; no part knows another:

    tasks.py -> workflows -> pki      authorities, device certificates: `openssl ca` as a transaction
                          -> hub      CA certificates, device registry, provisioning service, through Microsoft's SDKs
                          -> device   the device's own side: X.509, MQTT, registration, telemetry
                          -> modem    an nRF9160 over its serial line: AT commands, credentials proven by digest
                          -> network  NAT64 addresses, discovery, operators' profiles
                          -> firmware an application built by the SDK that is here, into the device, over SMP; its log, and what it proves
                          -> lab      the local hub: control (start, stop, ask) and cloud/ (the server);
                                      thing/ (a simulated Thingy:91)

    workflows     -> idlist (a series' ids), sealed (what is encrypted for a passphrase or for certificates)
    workflows, lab -> twinform (what may stand in a twin)
    all of them   -> session (config, workspace, shell, console, passphrases), target, roots, ids, private, files, errors
    config, network -> yamlfile (what people write, read without surprises)
    pki           -> openssl, engine (argv and words) -> nothing; processes start in shell alone

Apart from these, keyscan: what the pre-commit hook and `make lint` run, so that no private key is ever tracked; and
firmware, so that none is ever built in.

The lab imports nothing of hub/: it is reached over the network, so that Azure and the lab run the same client code.
"""
