"""firmware: an application built for a device, by the SDK that is here; what came out of it proven, hashed and recorded."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from thingmint import files
from thingmint.errors import InputError
from thingmint.firmware import application as applications
from thingmint.firmware import artefacts, editions, kconfig, keyless, sdk, stamp, west
from thingmint.firmware.application import Application
from thingmint.firmware.artefacts import Artefact
from thingmint.firmware.kconfig import Identity, Network, Options
from thingmint.firmware.sdk import Sdk
from thingmint.firmware.stamp import Stamp
from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.device.record import DeviceFiles, Firmware, Image, Record
from thingmint.session import Session
from thingmint.shell import quote
from thingmint.workflows import options, targets
from thingmint.workflows.hub import entrance
from thingmint.workflows.modem.sectags import Tags


@dataclass(frozen=True)
class Built:
    """What a build left, and where."""

    folder: Path
    artefacts: tuple[Artefact, ...]


def firmware(
    session: Session,
    *,
    app: str | None,
    imei: str | None = None,
    network: str | None = None,
    dps: bool = False,
    debug: bool = False,
    board: str | None = None,
    sdk: str | None = None,
) -> Built | None:
    """Build it. None with --dry. Raises InputError before anything runs, ToolError or CheckError afterwards."""
    if app == editions.AT_CLIENT:
        why = "it speaks to no hub"
        options.require_alone(f"--app {app}", why, network=network, dps=dps, debug=debug)
    chosen = None if imei is None else DeviceId.parse(imei)
    profile = None if network is None else _profile(network)
    targets.announce(session)
    id_scope = entrance.id_scope(session) if dps else None
    found = sdk_at_hand(session, sdk)
    application = Application.choose(app, found)
    wanted = Options(_identity(session, application, chosen, id_scope), profile, debug)
    text = kconfig.fragment(wanted, found, app=application.name, room=application.user_name_buffer)
    named = applications.board(board, found)
    found.require_workspace()
    source = str(application.source) if application.own else ""
    mark = Stamp(application.name, source, applications.safe(named), chosen.text if chosen else None)
    folder = builds(session) / stamp.folder_name(mark.app, mark.source, mark.board)
    for path, what in ((found.root, "the SDK"), (application.source, "the application"), (folder, "the build folder")):
        applications.require_buildable(path, what)
    if application.own:
        keyless.require(application.source, "the application")
    asked = kconfig.parse(text)
    own = folder.with_name(f"{folder.name}.conf")
    job = west.Job(
        found,
        application.name,
        application.source,
        named,
        folder,
        (*application.fragments(named, dps=dps), *([own] if asked else [])),
    )
    _describe(session, job, wanted, asked)
    if session.dry:
        west.build(job, session.shell, session.console)
        return None
    session.workspace.prepare()
    files.make_private_directory(folder.parent)
    with session.workspace.locked(f"build-{folder.name}"):
        made = _build(session, job, text if asked else "", mark)
    if chosen:
        _remember(session, chosen, job, made)
    _tell(session, job, made, app or "", chosen, asked=bool(asked))
    return made


def _build(session: Session, job: west.Job, text: str, mark: Stamp) -> Built:
    """`text` is the fragment's, the last of the job's; empty where nothing is asked.

    A key that somebody put into the folder stops it: west empties that first, and the key would be lost.
    """
    keyless.require(job.folder, "the build folder", built=True, since=job.folder / west.LOG)
    stamp.remove(job.folder)
    own = job.fragments[-1] if text else None
    if own:
        files.replace(own, text.encode("ascii"))
    log = west.build(job, session.shell, session.console)
    if own:
        merged = f"Merged configuration '{own.as_posix()}'" in log.read_text(encoding="utf-8", errors="replace")
        kconfig.require_taken(text, kconfig.config_of(job.folder, job.source.name), sdk=job.sdk, merged=merged)
    found = artefacts.find(job.folder, job.source.name, job.sdk.edition)
    keyless.require(job.folder, "the build", built=True)
    mark.write(job.folder)
    return Built(job.folder, found)


def sdk_at_hand(session: Session, named: str | None) -> Sdk:
    """The one that `--sdk` names, or that is found. Raises InputError."""
    return sdk.find(named=named, configured=session.settings.firmware.sdk)


def builds(session: Session) -> Path:
    """Where each application's build folder is."""
    return session.workspace.root / "firmware" / "build"


def _identity(
    session: Session, application: Application, chosen: DeviceId | None, id_scope: str | None
) -> Identity | None:
    """Who the device is. None where the application speaks to no hub."""
    speaks = application.name == editions.AZURE_IOT_HUB if not application.own else application.speaks_to_hub
    if not speaks and not (application.own and (chosen or id_scope)):
        return None
    if chosen is None and not application.own and not application.takes_id_from_modem:
        raise InputError(
            f"this SDK's {application.name} takes its id from the build alone, and no device was named.",
            things_to_try=[
                "add --imei ID",
                "one binary for many devices: the sample of SDK 2.5 or newer asks the modem for its IMEI (--sdk PATH)",
            ],
        )
    if chosen is None and not application.takes_id_from_modem:
        session.console.warn(f"no id is built into {application.name}: its own code has to set one")
    tags = Tags.of(Record.read(DeviceFiles.of(session.workspace, chosen).record) if chosen else None)
    return Identity(
        session.settings.hub_host,
        chosen.text if chosen else None,
        tags.own,
        tags.secondary,
        id_from_modem=chosen is None and application.takes_id_from_modem,
        id_scope=id_scope,
    )


def _profile(name: str) -> Network:
    """The operator's network, as a build needs it. Raises InputError where no profile has that name."""
    from thingmint.network import profiles

    found = profiles.profile(name)
    return Network(found.name, found.apn, found.family)


def _describe(session: Session, job: west.Job, wanted: Options, asked: dict[str, str]) -> None:
    say = session.console.say
    say(f"building {job.app} for {job.board} with nRF Connect SDK {job.sdk.version} ({job.sdk.root})")
    if wanted.identity and wanted.identity.id_from_modem:
        say("  one binary for many devices: each takes its modem's IMEI for its id")
    for symbol, value in asked.items():
        say(f"  {symbol}={value}")


def _remember(session: Session, chosen: DeviceId, job: west.Job, made: Built) -> None:
    """Into the device's record, where there is one."""
    own = DeviceFiles.of(session.workspace, chosen)
    built = Firmware(
        job.app,
        job.board,
        str(job.sdk.version),
        datetime.now(UTC).isoformat(timespec="seconds"),
        tuple(Image(one.path.relative_to(made.folder).as_posix(), one.sha256) for one in made.artefacts),
    )
    with bench.locked(session):
        record = Record.read(own.record)
        if record is not None:
            session.workspace.write(own.record, replace(record, firmware=built).to_json())
            return
    session.console.warn(
        f"{chosen} has no certificate here, so this build is not recorded: invoke device --imei {chosen}"
    )


def _tell(session: Session, job: west.Job, made: Built, app: str, chosen: DeviceId | None, *, asked: bool) -> None:
    for one in made.artefacts:
        session.console.result(f"{one.sha256}  {one.path}")
    proven = ", every option of the device's fragment proven in .config" if asked else ""
    session.console.say(f"built: {job.app} for {(chosen if asked else None) or 'any device'}{proven}")
    session.console.say(f"  the build's whole output: {made.folder / west.LOG}")
    if artefacts.update(made.artefacts):
        session.console.next_step(quote(["invoke", "flash", "--app", app, "--port", "auto"]))
    else:
        session.console.warn(
            "none of these is signed for MCUboot (CONFIG_BOOTLOADER_MCUBOOT=y, with sysbuild SB_CONFIG_BOOTLOADER_MCUBOOT=y): "
            "a debugger alone can write them"
        )
