"""Proof of possession: a short-lived certificate whose CN is the hub's code, signed by the authority's key."""

from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.keys import pair
from thingmint.pki.keys.pair import KeyWish, RequestWish
from thingmint.pki.profile import PROOF
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing, transaction
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.store.database import Database

DAYS = 1


def make(bench: Bench, signer: Signer, code: str) -> bytes:
    """The proof as PEM, by the article's lines with a profile of its own; empty with --dry.

    It proves that whoever uploaded the CA holds its key; valid for a day and good for no TLS connection.
    """
    clean_up(bench, signer)
    key, csr, certificate = (signer.folder / f"proof{suffix}" for suffix in (".key", ".csr", ".pem"))
    # An earlier proof's CSR and certificate are for another code: they make room.
    for path in (csr, certificate):
        if bench.workspace.exists(path):
            bench.workspace.remove(path)
    pair.make(
        bench,
        key=key,
        csr=csr,
        spec=KeyWish(None, bench.session.settings.pki.key),
        request=RequestWish(signer.cnf.name, code, ()),
    )
    issued = issuing.issue(bench, signer, [Request(csr, certificate, code)], Terms(PROOF, DAYS))
    return issued[0].pem if issued else b""


def clean_up(bench: Bench, signer: Signer) -> None:
    """Remove the proof's key and revoke its certificate. Finds nothing to do when that was done before."""
    workspace = bench.workspace
    transaction.recover(bench, signer)
    key, certificate = signer.folder / "proof.key", signer.folder / "proof.pem"
    if workspace.exists(certificate) and _valid(bench, signer):
        transaction.revoke(bench, signer, certificate, reason="cessationOfOperation")
    if workspace.exists(key):
        workspace.remove(key)


def _valid(bench: Bench, signer: Signer) -> bool:
    certificate = signer.folder / "proof.pem"
    if bench.workspace.only_planned(certificate):
        return True
    return Database(signer).status(inspect.read_certificate(certificate).serial) == "V"
