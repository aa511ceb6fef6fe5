"""The openssl command line: argv in the article's order, and what its output means. Pure: nothing is started here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from thingmint import engine

CA_REQUEST: Final = ("basicConstraints = critical,CA:true", "keyUsage = critical,keyCertSign,cRLSign")
SUBCA_REQUEST: Final = (*CA_REQUEST, "extendedKeyUsage = clientAuth,serverAuth")
DEVICE_REQUEST: Final = (
    "basicConstraints = critical,CA:false",
    "keyUsage = critical,digitalSignature",
    "extendedKeyUsage = clientAuth",
)
"""What the article's CSRs ask for. With the hardened profile the cnf decides, whatever a CSR asks."""

_NEWKEY: Final = {
    "rsa:2048": ("-newkey", "rsa:2048"),
    # The named curve, not its parameters spelled out: that is what modems and hubs expect (RFC 5480 2.1.1).
    "ec:P-256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
}
KEY_SPECS: Final = tuple(_NEWKEY)
_GENPKEY: Final = {
    "rsa:2048": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "ec:P-256": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:named_curve"),
}


KEY_VARIABLE: Final = "CA_PASSPHRASE"
"""The environment variable of an openssl child that holds a CA key's passphrase, or a token's PIN. Never in argv."""


ENCRYPT: Final = ("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-iter", "600000")
"""A key file encrypted: OWASP's figure for PBKDF2-HMAC-SHA256, 0.15 s for each use of the key, and for each guess."""


def key_arguments(*, encrypted: bool, token: bool) -> tuple[str, ...]:
    """What a line says of an authority's key, for `req` and `ca` alike. A token's URI stands beside it."""
    return (
        *((*engine.USE, "-keyform", "engine") if token else ()),
        *(("-passin", f"env:{KEY_VARIABLE}") if encrypted or token else ()),
    )


def with_key(line: Sequence[str], arguments: Sequence[str]) -> tuple[str, ...]:
    """A `ca` or `req` line with these right after its `-config FILE`, since -infiles has to come last."""
    return (*line[:3], *arguments, *line[3:])


def public_key_of_token(uri: str) -> tuple[str, ...]:
    """The public half of a token's key, on stdout: it proves the PIN before anything is changed."""
    return ("pkey", *engine.USE, "-inform", "engine", "-in", uri, "-passin", f"env:{KEY_VARIABLE}", "-pubout")


def genpkey(*, key_spec: str, out: str) -> tuple[str, ...]:
    """An encrypted key: `req -newkey` would use 3DES, and accept an empty passphrase."""
    return ("genpkey", "-aes256", "-pass", f"env:{KEY_VARIABLE}", *_GENPKEY[key_spec], "-out", out)


def stretch(*, key: str, out: str) -> tuple[str, ...]:
    """The same key, encrypted anew: genpkey cannot do more than 2048 rounds of PBKDF2, 3 ms for each guess of a thief."""
    variable = f"env:{KEY_VARIABLE}"
    return (*ENCRYPT, "-in", key, "-passin", variable, "-out", out, "-passout", variable)


def rand_serial() -> tuple[str, ...]:
    """The first serial number: 16 random bytes in hex, on stdout."""
    return ("rand", "-hex", "16")


def req_new_key(
    *, cnf: str, key_spec: str, keyout: str, out: str, common_name: str, extensions: Sequence[str], new: bool = False
) -> tuple[str, ...]:
    """A key and a CSR for it. `new` adds the `-new` that the article's root line has and the others have not."""
    return (
        "req",
        "-config",
        cnf,
        *(("-new",) if new else ()),
        *_NEWKEY[key_spec],
        "-nodes",
        "-keyout",
        keyout,
        "-out",
        out,
        *_subject(common_name, extensions),
    )


def req_existing_key(*, cnf: str, key: str, out: str, common_name: str, extensions: Sequence[str]) -> tuple[str, ...]:
    """A CSR for a key that is there already: by a cut-off run, by genpkey, or on a token."""
    return ("req", "-config", cnf, "-new", "-key", key, "-out", out, *_subject(common_name, extensions))


def ca_sign(
    *,
    cnf: str,
    requests: Sequence[str],
    out: str | None,
    selfsign: bool = False,
    extensions: str | None = None,
    days: int | None = None,
    end: datetime | None = None,
) -> tuple[str, ...]:
    """Sign one request into `out`, or, without `out`, many: they come out in new_certs_dir as SERIALHEX.pem.

    `end` overrides `days`. `-notext`: a modem must never be sent the text dump, and it is four fifths of the file.
    """
    return (
        "ca",
        "-config",
        cnf,
        *(("-selfsign",) if selfsign else ()),
        "-batch",
        "-notext",
        *(("-extensions", extensions) if extensions else ()),
        *(("-enddate", end.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")) if end else ()),
        *(("-days", str(days)) if days and not end else ()),
        *(("-in", requests[0], "-out", out) if out else ("-infiles", *requests)),  # -infiles has to come last
    )


def ca_revoke(*, cnf: str, certificate: str, reason: str) -> tuple[str, ...]:
    """`reason` is a CRLReason of RFC 5280 5.3.1 as openssl spells it, e.g. cessationOfOperation."""
    return ("ca", "-config", cnf, "-revoke", certificate, "-crl_reason", reason)


def ca_updatedb(*, cnf: str) -> tuple[str, ...]:
    """Mark as E what has expired by the clock: an expired row holds its name until then."""
    return ("ca", "-config", cnf, "-updatedb")


def is_serial(data: bytes) -> bool:
    """Whether this is what serial.txt may hold: one hexadecimal number of whole bytes."""
    return re.fullmatch(rb"(?:[0-9A-Fa-f]{2}){1,20}\r?\n?", data) is not None


def ca_gencrl(*, cnf: str, out: str, days: int) -> tuple[str, ...]:
    """A revocation list that is good for `days`. The article's cnf says nothing of that: without it, openssl refuses."""
    return ("ca", "-config", cnf, "-gencrl", "-crldays", str(days), "-out", out)


def verify(*, issuer: str, certificates: Sequence[str]) -> tuple[str, ...]:
    """Strict by RFC 5280, and with the direct issuer as the anchor: a verdict on these certificates alone."""
    return ("verify", "-x509_strict", "-partial_chain", "-CAfile", issuer, *certificates)


def req_text(path: str) -> tuple[str, ...]:
    return ("req", "-text", "-in", path, "-noout")


def x509_text(path: str) -> tuple[str, ...]:
    return ("x509", "-in", path, "-text")


def _subject(common_name: str, extensions: Sequence[str]) -> tuple[str, ...]:
    addext = tuple(word for extension in extensions for word in ("-addext", extension))
    return ("-subj", f"/CN={escape(common_name)}", *addext)


def escape(common_name: str) -> str:
    """For -subj, where / starts the next RDN, + joins two and = ends a type. Validated names hold none of them."""
    return re.sub(r"([\\/+=])", r"\\\1", common_name)


def unusable_version(text: str) -> str | None:
    """Why the program whose `openssl version` printed `text` cannot be used, or None."""
    if text.startswith("LibreSSL"):
        return f"it is {text.split(' (', maxsplit=1)[0].strip()}, and OpenSSL 3.0 or newer is needed"
    found = re.match(r"OpenSSL (\d+)\.(\d+)", text)
    if not found:
        return f"`openssl version` printed {text.strip()[:80]!r}, and OpenSSL 3.0 or newer is needed"
    if int(found[1]) < 3:
        return f"it is OpenSSL {found[1]}.{found[2]}, and OpenSSL 3.0 or newer is needed"
    return None


@dataclass(frozen=True)
class Explanation:
    """One of openssl's messages in plain words."""

    message: str
    things_to_try: tuple[str, ...] = ()


# (regular expression, explanation), the specific before the general; texts of OpenSSL 3.0 and 3.5, which differ.
_EXPLANATIONS: Final[tuple[tuple[str, Explanation], ...]] = (
    # The system's own reasons stand beside whatever openssl says that it could not do therefore.
    (
        r"No space left on device|Disk quota exceeded",
        Explanation("the disk is full", ("free some space, then run this again: nothing was lost",)),
    ),
    (
        r"Permission denied",
        Explanation("a file or a folder may not be used by this user", ("see its owner and mode (ls -ld)",)),
    ),
    (
        r"Problem with index file:",
        Explanation(
            "the authority's database of issued certificates (db/index.txt) is missing or damaged",
            ("restore db/index.txt from a backup", "compare it with the certificates in certs/"),
        ),
    ),
    (
        r"Error creating (serial number|name) index:|entry \d+: invalid expiry date|bad serial number length",
        Explanation(
            "the authority's database (db/index.txt) holds a damaged or a duplicate row",
            ("the detail above names the row", "restore db/index.txt from a backup"),
        ),
    ),
    (
        r"error while loading serial number|Unable to load number from",
        Explanation(
            "the authority's next serial number (db/serial.txt) is missing or damaged",
            ("restore db/serial.txt from a backup, or: openssl rand -hex 16 > db/serial.txt",),
        ),
    ),
    (
        r"CA certificate and CA private key do not match",
        Explanation("the authority's key does not belong to its certificate", ("restore the key that made it",)),
    ),
    *((pattern, Explanation(message, cures)) for pattern, message, cures in engine.EXPLANATIONS),
    (
        r"Could not (read|find) CA private key|bad decrypt|maybe wrong password",
        Explanation("the authority's private key cannot be read", ("a wrong passphrase, or a damaged file",)),
    ),
    (
        r"Could not open file or uri for loading CA private key",
        Explanation("the authority's private key is not there", ("bring the key back to where the cnf names it",)),
    ),
    (
        r"Could not open file or uri for loading CA certificate",
        Explanation("the authority's certificate is not there", ("restore it from a backup",)),
    ),
    (
        r"Could not (read|find) CA certificate",
        Explanation("the authority's certificate cannot be read", ("restore it from a backup",)),
    ),
    (
        r"There is already a certificate for",
        Explanation("a valid certificate of that name was issued before", ("revoke the old one first",)),
    ),
    (
        r"Signature did not match the certificate request",
        Explanation("the CSR's signature does not match its public key", ("make the CSR anew",)),
    ),
    (r"[Uu]nable to load certificate request", Explanation("the CSR cannot be read", ("make the CSR anew",))),
    (
        r"field needed to be supplied and was missing",
        Explanation("the CSR's subject lacks a field that the authority's policy demands", ("give it a CN",)),
    ),
    (
        r"certs is not a directory|certs: No such file or directory",
        Explanation(
            "the authority's folder certs/ is missing",
            ("bring it back from a backup", "or make it anew (mkdir) and see what was in it: invoke ca-check"),
        ),
    ),
)


def refused_path(stderr: str) -> str:
    """Which file openssl might not open, as its line named it; empty where that is not what went wrong."""
    found = re.search(
        r"Can't open \"([^\"]+)\" for [a-z]+, Permission denied|Permission denied:.*calling f?open\((.+), [rwab+]+\)",
        stderr,
    )
    return (found[1] or found[2]) if found else ""


def explain(stderr: str) -> Explanation | None:
    """The first known cause in openssl's stderr."""
    for pattern, explanation in _EXPLANATIONS:
        if re.search(pattern, stderr):
            return explanation
    if re.search(r'Can\'t open "[^"]*\.cnf"|on line \d+ of config file|variable lookup failed', stderr):
        return _damaged_cnf(stderr)
    return None


def _damaged_cnf(stderr: str) -> Explanation:
    """Missing or damaged: the task that makes an authority renders its cnf anew, and keeps a damaged one beside it."""
    found = re.search(r"([a-z0-9-]+)\.cnf", stderr)
    name = found[1] if found else "NAME"
    task = {"rootca": "rootca", "subca": "subca"}.get(name, f"subca --name {name}")
    return Explanation("the authority's cnf file is missing or damaged", (f"make it anew: invoke {task}",))
