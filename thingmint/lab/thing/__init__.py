"""The simulated Thingy:91: a modem behind Nordic's AT host, on a port that any serial program opens.

    faults    what can be switched on        sectags   what the modem holds, on disk
    host      bytes -> commands              modem     commands -> answers        attest   keys, CSRs, tokens
    board     the line: its speed, its ring, noise, what strikes in mid-write; all in a time that callers tell
    port      a pty or a socket, and the thread that runs a board on it

It shares no line with the client side, so that a misunderstanding of ours cannot hide by being made twice.
"""
