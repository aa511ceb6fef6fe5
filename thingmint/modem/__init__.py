"""The modem of an nRF9160, from our side of its serial line: AT commands as typed functions.

ports, obstacles     which port; why it cannot be opened, who has it
link                 the bytes: pexpect over pyserial, at the pace of the line
lines, secrecy       what a line of the modem is; what of it may be shown
at, attention        a command and its answer; getting back in step with the host
refusals             +CME ERROR codes as errors with things to try
commands, credentials, keygen    identity and modes; what the modem stores; a key made inside it
"""
