"""A series: against the literal loop, against what the machine can do at most, and against other tools where installed."""

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from measure import P256, Result, invoke, side_by_side, timed
from single import literal, literal_folder

RUNS = 3
COUNT = {"rsa:2048": 600, "ec:P-256": 6000}
LITERAL = {"rsa:2048": 12, "ec:P-256": 40}
"""Devices of the literal loop: its cost for each is the same from the first one on."""


def benchmarks(folder: Path) -> Iterator[Result]:
    for key, goal in (("rsa:2048", 6.0), ("ec:P-256", 50.0)):
        yield against_the_loop(folder, key, goal)
    yield against_cryptography(folder)
    yield against_openssl_alone(folder)
    yield from against_others(folder)


def authority(folder: Path, name: str) -> Path:
    """A workspace with P-256 authorities, whatever the devices' keys are."""
    workspace = folder / name
    invoke("rootca", "subca", workspace=workspace, **P256)
    return workspace


def series(workspace: Path, key: str, number: int) -> float:
    """Devices a second, the start of the interpreter included."""
    ids = workspace.with_suffix(".txt")
    ids.write_text("".join(f"{key[:1]}{number}-{n}\n" for n in range(COUNT[key])))
    seconds = invoke("device", "--imei-file", str(ids), "--key", key, "--no-register", workspace=workspace)
    return COUNT[key] / seconds


def result(name: str, ours: float, theirs: float, goal: float) -> Result:
    return Result(name, f"{ours:.1f}/s", f"{theirs:.1f}/s", ours / theirs, goal, "x", at_least=True)


def against_the_loop(folder: Path, key: str, goal: float) -> Result:
    workspace = authority(folder, f"loop-{key[:2]}")
    ca = literal_folder(workspace, folder / f"loop-literal-{key[:2]}")

    def loop(number: int) -> float:
        return LITERAL[key] / sum(literal(ca, f"l{number}-{n}", key) for n in range(LITERAL[key]))

    ours, theirs = side_by_side(lambda number: series(workspace, key, number), loop, runs=RUNS)
    return result(f"series of {COUNT[key]}, {key}, against the article's loop", ours, theirs, goal)


def raw(count: int) -> None:
    """In a worker: keys and self-made certificates by `cryptography`, written nowhere."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import NameOID

    issuer_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Raw CA")])
    now = dt.datetime.now(dt.UTC)
    for number in range(count):
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"raw{number}")])
        builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
        builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=3650)).sign(issuer_key, hashes.SHA256())


def against_cryptography(folder: Path) -> Result:
    """What two cores can do at most with RSA: nothing but keys and signatures."""
    workspace, key = authority(folder, "raw"), "rsa:2048"

    def nothing_but_keys(_number: int) -> float:
        began = time.perf_counter()
        with ProcessPoolExecutor() as pool:
            list(pool.map(raw, [COUNT[key] // 12] * 12))
        return COUNT[key] / (time.perf_counter() - began)

    ours, theirs = side_by_side(lambda number: series(workspace, key, number), nothing_but_keys, runs=RUNS)
    return result("series, RSA-2048, against raw keys and signatures by cryptography on all cores", ours, theirs, 0.85)


def against_openssl_alone(folder: Path) -> Result:
    """`openssl ca -infiles` on CSRs that are ready, in batches of 500: no keys, no checks, nothing made durable."""
    key = "ec:P-256"
    workspace = authority(folder, "alone")
    ready = authority(folder, "ready")
    series(ready, key, 0)
    csrs = sorted((ready / "devices").glob("*.csr"))

    def alone(number: int) -> float:
        ca = folder / f"alone-ca-{number}"
        shutil.copytree(workspace / "ca", ca, ignore=shutil.ignore_patterns("certs", "ledger*"))
        (ca / "subca/certs").mkdir()
        (ca / "subca/db/index.txt").write_bytes(b"")
        began = time.perf_counter()
        for first in range(0, len(csrs), 500):
            # As our own batches: its index is emptied between them, so that it is no slower for its past.
            timed(
                ["openssl", "ca", "-config", "subca.cnf", "-batch", "-notext", "-infiles", *csrs[first : first + 500]],
                cwd=ca,
            )
            (ca / "subca/db/index.txt").write_bytes(b"")
        return len(csrs) / (time.perf_counter() - began)

    ours, theirs = side_by_side(lambda number: series(workspace, key, number), alone, runs=RUNS)
    return result("series, P-256, all included, against `openssl ca -infiles` alone on ready CSRs", ours, theirs, 0.85)


def against_others(folder: Path) -> Iterator[Result]:
    """easy-rsa and GnuTLS's certtool, the loops that their manuals show. Goal: no slower."""
    easyrsa = next((path for path in map(Path, ("/usr/share/easy-rsa/easyrsa",)) if path.exists()), None)
    if easyrsa:
        workspace = authority(folder, "easy")
        ca = folder / "easyrsa"
        environment = {
            "EASYRSA_PKI": str(ca),
            "EASYRSA_BATCH": "1",
            "EASYRSA_ALGO": "ec",
            "EASYRSA_CURVE": "prime256v1",
        }
        for words in (["init-pki"], ["build-ca", "nopass"]):
            timed([easyrsa, *words], cwd=folder, environment=environment)

        def theirs(number: int) -> float:
            count = 10
            words = [["build-client-full", f"e{number}-{n}", "nopass"] for n in range(count)]
            return count / sum(timed([easyrsa, *one], cwd=folder, environment=environment) for one in words)

        ours, other = side_by_side(lambda number: series(workspace, "ec:P-256", number), theirs, runs=RUNS)
        yield result("series, P-256, against easy-rsa's build-client-full", ours, other, 1.0)
    if shutil.which("certtool"):
        yield against_certtool(folder)


def against_certtool(folder: Path) -> Result:
    workspace, own = authority(folder, "gnutls"), folder / "certtool"
    own.mkdir()
    (own / "ca.cfg").write_text("cn = CA\nca\ncert_signing_key\nexpiration_days = 3650\n")
    new_key = ["certtool", "--generate-privkey", "--key-type", "ecdsa", "--curve", "secp256r1", "--outfile"]
    timed([*new_key, "ca.key"], cwd=own)
    subject = [
        "certtool",
        "--generate-self-signed",
        "--load-privkey",
        "ca.key",
        "--template",
        "ca.cfg",
        "--outfile",
        "ca.pem",
    ]
    timed(subject, cwd=own)

    def theirs(number: int) -> float:
        count, seconds = 40, 0.0
        for n in range(count):
            name = f"g{number}-{n}"
            (own / f"{name}.cfg").write_text(f"cn = {name}\ntls_www_client\nsigning_key\nexpiration_days = 3650\n")
            seconds += timed([*new_key, f"{name}.key"], cwd=own)
            seconds += timed(
                ["certtool", "--generate-certificate", "--load-privkey", f"{name}.key", "--load-ca-certificate", "ca.pem",
                 "--load-ca-privkey", "ca.key", "--template", f"{name}.cfg", "--outfile", f"{name}.pem"], cwd=own,
            )  # fmt: skip
        return count / seconds

    ours, other = side_by_side(lambda number: series(workspace, "ec:P-256", number), theirs, runs=RUNS)
    return result("series, P-256, against certtool, a key and a certificate each", ours, other, 1.0)
