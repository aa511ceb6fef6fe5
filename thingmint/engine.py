"""openssl's pkcs11 engine, which reaches keys on tokens: its name in a line, and what its output means. Pure.

The texts are of libp11 0.4. After most of them openssl crashes: they are all there is to tell what happened.
"""

from typing import Final

USE: Final = ("-engine", "pkcs11")

EXPLANATIONS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    (
        r"PIN locked",
        "the token's PIN is locked",
        ("unlock it with the token's own tools (its SO PIN or PUK)",),
    ),
    (
        r"PIN incorrect|PIN invalid|Invalid PIN length",
        "the PIN is wrong",
        ("it was tried once, and nothing was changed; be sure of the next: after some, often three, a token locks",),
    ),
    (
        r"PIN expired",
        "the token's PIN has expired",
        ("set a new one with the token's own tools",),
    ),
    (
        r'Invalid engine "pkcs11"',
        "openssl has no engine for tokens (pkcs11)",
        ("Debian, Ubuntu: apt install libengine-pkcs11-openssl", "macOS: brew install libp11"),
    ),
    (
        r"[Uu]nknown option:? -?(engine|keyform)",
        "this openssl was built without engines, and cannot use a token",
        ("use OpenSSL 3 as Debian, Ubuntu and Homebrew build it: set pki.openssl",),
    ),
    (
        r"Unable to load module",
        "the token's PKCS#11 module cannot be loaded",
        ("set PKCS11_MODULE_PATH to the module that came with the token, or unset it to use p11-kit's",),
    ),
    (
        r"Failed to enumerate slots|No tokens found|No PKCS#11 token present|No matching initialized token",
        "there is no such token",
        (
            "plug it in; p11tool --list-tokens shows those that are there",
            "set PKCS11_MODULE_PATH to the module that came with it",
        ),
    ),
    (
        r"Multiple matching slots",
        "more than one token fits the URI",
        ("add serial=… to the URI",),
    ),
    (
        r"The private key was not found at: pkcs11:",
        "the token holds no such private key",
        ("p11tool --login --list-all-privkeys shows those that are there",),
    ),
)
"""Regular expression, what it means, what to try; the specific before the general."""
