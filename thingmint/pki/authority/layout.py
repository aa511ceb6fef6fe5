"""What stands around an authority's key and certificate: the article's folders, its database, its cnf."""

from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import ToolError
from thingmint.pki import profile
from thingmint.pki.bench import Bench
from thingmint.pki.signer import Signer
from thingmint.pki.store.database import certificates
from thingmint.render import render


def lay_out(bench: Bench, own: Signer, *, root: bool, pathlen: int | None) -> None:
    """Folders, cnf, and a database where there is none. Raises ToolError where one was lost."""
    workspace = bench.workspace
    for folder in (own.folder, own.certs, own.db):
        workspace.make_directory(folder)
    write_cnf(bench, own, root=root, pathlen=pathlen)
    if workspace.exists(own.index) and workspace.exists(own.serial):
        return
    if certificates(own):
        missing = own.index if not own.index.exists() else own.serial
        raise ToolError(
            f"{missing} is missing, although {own.certs} holds issued certificates.",
            things_to_try=["restore it from a backup; an empty one would let names and serials be given twice"],
        )
    bench.session.shell.echo(["touch", workspace.from_ca(own.index)], cwd=workspace.ca)
    workspace.write(own.index, b"", mode=files.SECRET)
    workspace.write(own.attributes, b"unique_subject = yes\n", mode=files.SECRET)
    serial = bench.openssl(*openssl.rand_serial(), redirect=workspace.from_ca(own.serial))
    workspace.write(own.serial, serial.stdout.encode("ascii"), mode=files.SECRET)


def write_cnf(bench: Bench, own: Signer, *, root: bool, pathlen: int | None) -> None:
    """Rendered again where configuration or template changed; a file that was edited by hand is kept beside it."""
    levels = profile.MOST_LEVELS + 1 if root else pathlen or 0
    values = {
        "name": own.name,
        "days": bench.session.settings.pki.days,
        "hardened": bench.hardened,
        "below": [(profile.intermediate_section(number), number) for number in range(levels)],
    }
    template = "rootca.cnf.j2" if root else "subca.cnf.j2"
    text = render(template, values).encode()
    if own.cnf.exists():
        if own.cnf.read_bytes() == text:
            return
        kept: Path = own.cnf.with_name(own.cnf.name + ".old")
        bench.session.console.say(f"{own.cnf.name} is rendered anew; the earlier one is kept as {kept.name}")
        bench.workspace.write(kept, own.cnf.read_bytes())
    pki = bench.session.settings.pki
    origin = f"from templates/{template}, with pki.profile {pki.profile} and pki.days {pki.days}"
    remark = f"{own.cnf.name}: {origin}; copy it to replay these lines elsewhere"
    bench.session.shell.remark(remark, cwd=bench.workspace.ca)
    bench.workspace.write(own.cnf, text)
