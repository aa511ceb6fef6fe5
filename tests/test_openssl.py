"""The argv builders against the article's own lines, and the parsers against openssl's own words."""

import shlex
from datetime import UTC, datetime

import pytest

from thingmint import openssl


def test_the_root_request_is_the_articles_line() -> None:
    built = openssl.req_new_key(
        cnf="rootca.cnf", key_spec="rsa:2048", keyout="rootca/rootca.key", out="rootca/rootca.csr",
        common_name="Development Root CA", extensions=openssl.CA_REQUEST, new=True,
    )  # fmt: skip
    assert ["openssl", *built] == shlex.split(
        "openssl req -config rootca.cnf -new -newkey rsa:2048 -nodes -keyout rootca/rootca.key -out rootca/rootca.csr "
        '-subj "/CN=Development Root CA" -addext "basicConstraints = critical,CA:true" '
        '-addext "keyUsage = critical,keyCertSign,cRLSign"'
    )


def test_the_device_request_is_the_articles_line() -> None:
    built = openssl.req_new_key(
        cnf="subca.cnf", key_spec="rsa:2048", keyout="devices/350457791791735879.key",
        out="devices/350457791791735879.csr", common_name="350457791791735879", extensions=openssl.DEVICE_REQUEST,
    )  # fmt: skip
    assert ["openssl", *built] == shlex.split(
        'openssl req -config subca.cnf -newkey rsa:2048 -nodes -keyout "devices/350457791791735879.key" '
        '-out "devices/350457791791735879.csr" -subj "/CN=350457791791735879" '
        '-addext "basicConstraints = critical,CA:false" -addext "keyUsage = critical,digitalSignature" '
        '-addext "extendedKeyUsage = clientAuth"'
    )


def test_signing_is_the_articles_line_plus_notext() -> None:
    one = openssl.ca_sign(cnf="rootca.cnf", requests=["rootca/rootca.csr"], out="rootca/rootca.pem", selfsign=True)
    assert ["openssl", *one] == shlex.split(
        "openssl ca -config rootca.cnf -selfsign -batch -notext -in rootca/rootca.csr -out rootca/rootca.pem"
    )


def test_what_reaches_a_key_stands_before_the_requests() -> None:
    line = openssl.ca_sign(cnf="subca.cnf", requests=["a.csr", "b.csr"], out=None)
    assert openssl.with_key(line, openssl.key_arguments(encrypted=False, token=False)) == line
    locked = openssl.with_key(line, openssl.key_arguments(encrypted=True, token=False))
    assert locked[:5] == ("ca", "-config", "subca.cnf", "-passin", "env:CA_PASSPHRASE")
    assert locked[-3:] == ("-infiles", "a.csr", "b.csr")


def test_a_batch_names_its_requests_last_and_an_end_stands_over_days() -> None:
    end = datetime(2050, 1, 2, 3, 4, 5, tzinfo=UTC)
    built = openssl.ca_sign(cnf="subca.cnf", requests=["a.csr", "b.csr"], out=None, days=7, end=end)
    assert built[-3:] == ("-infiles", "a.csr", "b.csr")
    assert built[built.index("-enddate") + 1] == "20500102030405Z"
    assert "-days" not in built


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("OpenSSL 3.0.19 27 Jan 2026 (Library: OpenSSL 3.0.19 27 Jan 2026)", None),
        ("OpenSSL 3.5.4 30 Sep 2025 (Library: OpenSSL 3.5.4 30 Sep 2025)", None),
        ("OpenSSL 4.0.0 14 Apr 2026 (Library: OpenSSL 4.0.0 14 Apr 2026)", None),
        ("LibreSSL 3.3.6", "LibreSSL 3.3.6"),
        ("OpenSSL 1.1.1w  11 Sep 2023", "OpenSSL 1.1"),
        ("", "printed ''"),
        ("GNU nothing", "GNU nothing"),
    ],
)
def test_versions(text: str, problem: str | None) -> None:
    found = openssl.unusable_version(text)
    assert found is None if problem is None else problem in (found or "")


@pytest.mark.parametrize(
    ("stderr", "meaning"),
    [
        ("Problem with index file: subca/db/index.txt (could not load/parse file)", "index.txt"),
        ("Error creating serial number index:(1,1,2)", "duplicate row"),
        ("subca/db/serial.txt: error while loading serial number", "serial.txt"),
        ("Could not open file or uri for loading CA private key from subca/subca.key", "key is not there"),
        ("Could not find CA certificate from subca/subca.pem", "certificate cannot be read"),
        ("CA certificate and CA private key do not match", "does not belong"),
        ("ERROR:There is already a certificate for /CN=1", "issued before"),
        ("Signature did not match the certificate request", "does not match its public key"),
        ("write error: No space left on device", "disk is full"),
        ("error:418000A0:PKCS#11 module:ERR_CKR_error:PIN incorrect:p11_slot.c:208:", "PIN is wrong"),
        ("error:418000A4:PKCS#11 module:ERR_CKR_error:PIN locked:p11_slot.c:208:", "PIN is locked"),
        ('Invalid engine "pkcs11"', "no engine for tokens"),
        ("ca: Unknown option: -engine", "without engines"),
        ("Multiple matching slots (2); will not try to login", "more than one token"),
        ("No matching initialized token was found for private key", "no such token"),
        ('Can\'t open "subca.cnf" for reading, No such file or directory', "cnf file"),
    ],
)
def test_openssls_words_become_plain_ones(stderr: str, meaning: str) -> None:
    found = openssl.explain(f"Using configuration from subca.cnf\n{stderr}\n")
    assert found
    assert meaning in found.message


# What OpenSSL 3.0.19 and 3.5.9 print for the same fault, each line as it came.
@pytest.mark.parametrize(
    ("in_3_0", "in_3_5", "meaning"),
    [
        (
            "Could not open file or uri for loading CA private key from subca/subca.key\n"
            "40B78A33087F0000:error:16000069:STORE routines:ossl_store_get0_loader_int:unregistered scheme:"
            "../crypto/store/store_register.c:237:scheme=file",
            "Could not open file or uri for loading CA private key from subca/subca.key: No such file or directory",
            "private key is not there",
        ),
        (
            "Could not read CA private key from subca/subca.key",
            "Could not find CA private key from subca/subca.key",
            "private key cannot be read",
        ),
        (
            "Could not read CA private key from subca/subca.key\n4087CE67B47F0000:error:1C800064:Provider routines:"
            "ossl_cipher_unpadblock:bad decrypt:../providers/implementations/ciphers/ciphercommon_block.c:124:",
            "Could not find CA private key from subca/subca.key\n4057A72FC97F0000:error:11800074:PKCS12 routines:"
            "PKCS12_pbe_crypt_ex:pkcs12 cipherfinal error:../crypto/pkcs12/p12_decr.c:95:maybe wrong password",
            "private key cannot be read",
        ),
        (
            "Could not open file or uri for loading CA certificate from subca/subca.pem\nUnable to load CA certificate",
            "Could not open file or uri for loading CA certificate from subca/subca.pem: No such file or directory",
            "certificate is not there",
        ),
        (
            "Could not read CA certificate from subca/subca.pem\nUnable to load CA certificate",
            "Could not find CA certificate from subca/subca.pem",
            "certificate cannot be read",
        ),
        (
            "Unable to load certificate request",
            "error: unable to load certificate request from file 'd.csr'",
            "CSR cannot be read",
        ),
        (
            "Signature did not match the certificate request",
            "Warning: CSR self-signature does not match the contents\nCheck that the request matches the signature\n"
            "Signature did not match the certificate request",
            "does not match its public key",
        ),
        (
            "Problem with index file: subca/db/index.txt (could not load/parse file)",
            "Problem with index file: subca/db/index.txt (could not load/parse file)",
            "index.txt",
        ),
        ("entry 1: bad serial number length (41)", "entry 1: bad serial number length (41)", "damaged or a duplicate row"),
        (
            'ca: Error on line 1 of config file "bad.cnf"',
            "variable lookup failed for ca::default_ca",
            "cnf file is missing or damaged",
        ),
    ],
)  # fmt: skip
def test_both_versions_are_understood(in_3_0: str, in_3_5: str, meaning: str) -> None:
    for text in (in_3_0, in_3_5):
        found = openssl.explain(f"Using configuration from subca.cnf\n{text}\n")
        assert found
        assert meaning in found.message


@pytest.mark.parametrize(
    ("stderr", "path"),
    [
        ('req: Can\'t open "../devices/d.key" for writing, Permission denied', "../devices/d.key"),
        (
            "40373C40697F0000:error:8000000D:system library:BIO_new_file:Permission denied:../crypto/bio/bss_file.c:67:"
            "calling fopen(subca/db/index.txt, r)\nProblem with index file: subca/db/index.txt (could not load/parse file)",
            "subca/db/index.txt",
        ),
        (
            "subca/certs/11E8.pem: Permission denied\n4097D358F57F0000:error:8000000D:system library:BIO_new_file:"
            "Permission denied:../crypto/bio/bss_file.c:67:calling fopen(subca/certs/11E8.pem, w)",
            "subca/certs/11E8.pem",
        ),
        ('Can\'t open "subca.cnf" for reading, No such file or directory', ""),
    ],
)  # fmt: skip
def test_the_file_that_openssl_may_not_open_is_found(stderr: str, path: str) -> None:
    assert openssl.refused_path(stderr) == path


@pytest.mark.parametrize(
    ("stderr", "cure"),
    [
        ('Can\'t open "fa.cnf" for reading, No such file or directory', "invoke subca --name fa"),
        ('req: Error on line 1 of config file "rootca.cnf"', "invoke rootca"),
        ("Using configuration from subca.cnf\nvariable lookup failed for ca::default_ca", "invoke subca"),
    ],
)
def test_a_damaged_cnf_is_cured_by_the_task_of_its_own_authority(stderr: str, cure: str) -> None:
    found = openssl.explain(stderr)
    assert found
    assert found.things_to_try == (f"make it anew: {cure}",)


def test_unknown_words_are_left_alone() -> None:
    assert openssl.explain("something new") is None
