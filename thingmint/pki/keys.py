"""A private key and the CSR for it, by the article's `openssl req`: made once, never overwritten."""

from dataclasses import dataclass
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import InputError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import SigningRequest


@dataclass(frozen=True)
class KeyWish:
    """`asked` stood on the command line (None: it did not), `default` is the configuration's."""

    asked: str | None
    default: str


@dataclass(frozen=True)
class RequestWish:
    """What the CSR says, and the cnf that its line names."""

    cnf: str
    common_name: str
    extensions: tuple[str, ...]
    new: bool = False


def make(bench: Bench, *, key: Path, csr: Path, spec: KeyWish, request: RequestWish) -> None:
    """Make both, or finish what an interrupted run began, or leave alone what is complete.

    The key is staged with mode 0600 (openssl keeps the mode of a file it finds) and renamed before its CSR, so that a
    key that stands at its name is whole. Raises InputError where what exists contradicts the wish.
    """
    workspace = bench.workspace
    if not workspace.exists(key):
        if workspace.exists(csr):
            raise InputError(
                f"the CSR {csr} is there, but its private key {key} is not.",
                things_to_try=["bring the key back", f"move {csr} away to make a new key and CSR"],
            )
        staged_key = workspace.stage(key, mode=files.SECRET)
        staged_csr = workspace.stage(csr, mode=files.PUBLIC)
        bench.openssl(
            *openssl.req_new_key(
                cnf=request.cnf,
                key_spec=spec.asked or spec.default,
                keyout=workspace.from_ca(staged_key),
                out=workspace.from_ca(staged_csr),
                common_name=request.common_name,
                extensions=request.extensions,
                new=request.new,
            )
        )
        if not bench.session.dry:
            _require_pair(staged_key, staged_csr)
        workspace.publish(key)
        workspace.publish(csr)
    elif not workspace.exists(csr):
        staged_csr = workspace.stage(csr, mode=files.PUBLIC)
        bench.openssl(
            *openssl.req_existing_key(
                cnf=request.cnf,
                key=workspace.from_ca(key),
                out=workspace.from_ca(staged_csr),
                common_name=request.common_name,
                extensions=request.extensions,
            )
        )
        workspace.publish(csr)
    if bench.session.dry:
        return
    _require_pair(key, csr)
    require_spec(spec, str(key), inspect.read_request(csr))


def require_spec(spec: KeyWish, where: str, csr: SigningRequest) -> None:
    """Raises InputError where the key that exists is of another kind than asked for."""
    if spec.asked is not None and spec.asked != csr.key:
        raise InputError(
            f"{where} exists as {csr.key!r}, and --key {spec.asked!r} asks for another.",
            things_to_try=["leave --key out to use the key that exists"],
        )


def _require_pair(key: Path, csr: Path) -> None:
    if inspect.read_key_digest(key) != inspect.read_request(csr).public_key:
        raise InputError(
            f"the CSR {csr} is not for the key {key}.",
            things_to_try=[f"move {csr} away and run this again: a CSR for the key is made"],
        )
