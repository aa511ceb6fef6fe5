"""What reaches an authority's key: nothing, a key file's passphrase, or a token's PIN. The one way to it for openssl.

A secret travels in the environment of that one child, and is proven before anything is changed: openssl would fail in
the middle, and at a token's wrong PIN it crashes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thingmint import openssl
from thingmint.errors import InputError, ToolError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench, explained
from thingmint.pki.signer import Signer
from thingmint.pki.token import TokenKey
from thingmint.session import Session
from thingmint.shell import Finished
from thingmint.workspace import Workspace

# The engine asks for so many, and would send an empty PIN in place of others: that counts as a wrong one.
_PIN_LENGTHS = range(4, 33)


@dataclass(frozen=True)
class KeyAccess:
    """What an openssl line says to use a key, and what its environment holds. Empty for a plain key file."""

    token: TokenKey | None = None
    encrypted: bool = False
    secret: str = field(default="", repr=False)

    @property
    def arguments(self) -> tuple[str, ...]:
        return openssl.key_arguments(encrypted=self.encrypted, token=self.token is not None)

    @property
    def environment(self) -> Mapping[str, str]:
        return {openssl.KEY_VARIABLE: self.secret} if self.secret else {}


def ca(bench: Bench, signer: Signer, line: Sequence[str], *, batch: bool = False) -> Finished:
    """Run an `openssl ca` line of this authority's, as Bench.openssl does. Each of them reads the key, -updatedb too."""
    access = unlock(bench.session, signer)
    keyfile = ("-keyfile", str(access.token)) if access.token else ()
    complete = openssl.with_key(line, (*access.arguments, *keyfile))
    return bench.openssl(*complete, environment=access.environment, batch=batch)


def unlock(session: Session, signer: Signer) -> KeyAccess:
    """Ask for what the key needs, once a command line, and prove it. With --dry nothing is asked.

    Raises InputError where it is wrong or the key is another's, ToolError where the token refuses.
    """
    shown = _without_secret(session.workspace, signer)
    if session.dry:
        return shown
    if shown.token:
        return unlock_token(session, signer, shown.token)
    if not shown.encrypted:
        return shown  # able_to_sign has looked at it
    inspect.require_private(signer.key)

    def opens(passphrase: str) -> bool:
        digest = inspect.read_encrypted_key_digest(signer.key, passphrase)
        if digest:
            signer.require_own(digest)
        return digest is not None

    label = signer.key.relative_to(session.workspace.root).as_posix()
    return KeyAccess(encrypted=True, secret=session.passphrases.proven(signer.name, label, opens))


def unlock_token(session: Session, signer: Signer, token: TokenKey) -> KeyAccess:
    """The same for a key on a token, whose PIN is tried once: three wrong ones lock it."""

    def opens(pin: str) -> bool:
        if len(pin.encode()) not in _PIN_LENGTHS:
            raise InputError(f"a PIN has 4 to 32 characters; token {token.token} was not asked.")
        access = KeyAccess(token, secret=pin)
        program = session.settings.pki.openssl
        finished = session.shell.read(
            (program, *openssl.public_key_of_token(str(token))),
            cwd=session.workspace.ca,
            environment=access.environment,
        )
        if finished.exit_code:
            raise explained(ToolError, f"the key of {signer.name} on token {token.token} cannot be used", finished)
        signer.require_own(inspect.read_public_key_digest(finished.stdout.encode(), str(token)))
        return True

    label = f"token {token.token} (for {signer.name})"
    return KeyAccess(token, secret=session.passphrases.proven(signer.name, label, opens, kind="PIN", tries=1))


def _without_secret(workspace: Workspace, signer: Signer) -> KeyAccess:
    """Which kind of key it is; with --dry, which kind it would be."""
    uri = workspace.peek(signer.uri)
    if uri:
        return KeyAccess(TokenKey.parse(uri.decode(errors="replace").strip(), str(signer.uri)))
    return KeyAccess(encrypted=inspect.is_encrypted(workspace.peek(signer.key)))
