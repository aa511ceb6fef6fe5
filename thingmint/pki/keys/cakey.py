"""An authority's key and CSR: in a file as the article has it, in an encrypted file, or on a token that made it itself."""

from thingmint import files, openssl
from thingmint.errors import InputError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.keys import access, pair
from thingmint.pki.keys.access import KeyAccess
from thingmint.pki.keys.pair import KeyWish, RequestWish
from thingmint.pki.signer import Signer
from thingmint.pki.wish import Wish
from thingmint.shell import quote


def make(bench: Bench, signer: Signer, wish: Wish, request: RequestWish) -> None:
    """Make what is missing, as `pair.make` does, once it is `require_possible`."""
    workspace = bench.workspace
    spec = KeyWish(wish.key, bench.session.settings.pki.key)
    if wish.token:
        adopt(bench, signer, wish)
    elif wish.encrypt and not workspace.exists(signer.key) and not workspace.exists(signer.csr):
        _make_encrypted(bench, signer, spec)
    reach = access.unlock(bench.session, signer)
    if not reach.arguments:
        pair.make(bench, key=signer.key, csr=signer.csr, spec=spec, request=request)
        return
    if not workspace.exists(signer.csr):
        _request(bench, signer, reach, request)
    if not bench.session.dry:
        pair.require_spec(spec.asked, str(reach.token or signer.key), inspect.read_request(signer.csr))


def require_possible(bench: Bench, signer: Signer, wish: Wish) -> None:
    """What `make` would refuse, asked before there is anything of the authority."""
    require_agreement(signer, wish)
    if wish.token and not bench.session.dry:
        access.unlock_token(bench.session, signer, wish.token)


def require_agreement(signer: Signer, wish: Wish) -> None:
    """Raises InputError, naming both, where the key is kept in another way than asked for."""
    token = signer.token
    if wish.encrypt and token:
        raise InputError(
            f"the key of {signer.name} is {token}, and --encrypt asks for an encrypted file.",
            things_to_try=["leave --encrypt out: a token guards its key by its PIN"],
        )
    if wish.encrypt and signer.key.exists() and not signer.encrypted:
        fresh = f"{signer.key}.new"
        raise InputError(
            f"{signer.key} exists and is not encrypted, and --encrypt asks for an encrypted one.",
            things_to_try=[
                "encrypt it (this asks for a passphrase), then put it in place of the other:",
                f"    {quote(['openssl', *openssl.ENCRYPT, '-in', str(signer.key), '-out', fresh])}",
                f"    {quote(['mv', fresh, str(signer.key)])}",
                "copies of the old one stay as readable as they were: backups, snapshots, other workspaces",
            ],
        )
    if wish.encrypt and signer.certificate.exists() and not signer.key.exists():
        raise InputError(
            f"{signer.key} is not here, so it cannot be told whether it is encrypted, as --encrypt asks.",
            things_to_try=["leave --encrypt out to use what exists", "bring the key back, then run this again"],
        )
    if wish.token and token and token != wish.token:
        raise InputError(
            f"the key of {signer.name} is {token}, and --key {wish.token} asks for another.",
            things_to_try=["leave --key out to use what exists"],
        )
    if wish.token and signer.key.exists():
        raise InputError(
            f"{signer.key} exists, and --key {wish.token} asks for a key on a token.",
            things_to_try=[
                "leave --key out to use the file",
                f"import it with the token's own tools, move {signer.key.name} away, and run this again",
            ],
        )


def adopt(bench: Bench, signer: Signer, wish: Wish) -> None:
    """Record where on a token the key is, after it was proven to be there, and to be the certificate's if there is one."""
    if wish.token is None or bench.workspace.exists(signer.uri):
        return
    if not bench.session.dry:
        access.unlock_token(bench.session, signer, wish.token)
    bench.workspace.write(signer.uri, f"{wish.token}\n".encode(), mode=files.SECRET)


def _make_encrypted(bench: Bench, signer: Signer, spec: KeyWish) -> None:
    """Encrypted from its first moment: genpkey's file, then the same key behind more rounds, under its name."""
    workspace, label = bench.workspace, signer.key.relative_to(bench.workspace.root).as_posix()
    passphrase = "" if bench.session.dry else bench.session.passphrases.new(signer.name, label)
    environment = KeyAccess(encrypted=True, secret=passphrase).environment
    weak = workspace.stage(signer.key.with_suffix(".weak.key"), mode=files.SECRET)
    staged = workspace.stage(signer.key, mode=files.SECRET)
    for line in (
        openssl.genpkey(key_spec=spec.asked or spec.default, out=workspace.from_ca(weak)),
        openssl.stretch(key=workspace.from_ca(weak), out=workspace.from_ca(staged)),
    ):
        bench.openssl(*line, environment=environment)
    workspace.remove(weak)
    workspace.publish(signer.key)
    if bench.session.dry:
        workspace.write(signer.key, b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")  # its later lines say -passin


def _request(bench: Bench, signer: Signer, reach: KeyAccess, request: RequestWish) -> None:
    workspace = bench.workspace
    staged = workspace.stage(signer.csr, mode=files.PUBLIC)
    line = openssl.req_existing_key(
        cnf=request.cnf,
        key=str(reach.token) if reach.token else workspace.from_ca(signer.key),
        out=workspace.from_ca(staged),
        common_name=request.common_name,
        extensions=request.extensions,
    )
    bench.openssl(*openssl.with_key(line, reach.arguments), environment=reach.environment)
    workspace.publish(signer.csr)
