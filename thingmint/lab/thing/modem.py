"""The modem: commands become answers, by Nordic's AT command reference for the nRF9160."""

import re
from collections.abc import Callable

from thingmint.lab.thing import attest, sectags
from thingmint.lab.thing.faults import HARMLESS, Faults
from thingmint.lab.thing.sectags import SecTags

MANUFACTURER = "thingmint, simulated"
"""The answer to AT+CGMI. A real one says `Nordic Semiconductor ASA`: that tells them apart."""

NOT_FOUND, NO_ACCESS, MEMORY_FULL, ACTIVE, EXISTS = 513, 514, 515, 518, 519
KEYGEN_FAILED, INVALID_CONTENT = 523, 527

_FIRMWARE_UUID = "25c95751-efa4-40d4-8b4a-1dcaab81fac9"  # made up; a real one names Nordic's build
_ACTIVE_MODES = {1, 2, 21}
_MODES = {0, 1, 2, 4, 20, 21, 30, 31, 40, 41, 44}
_SECRET_KINDS = {sectags.CLIENT_KEY, sectags.PSK, 10, 11}

_WRITE = re.compile(r'0,([0-9]{1,10}),([0-9]{1,2}),"([^"]*)"(?:,"[^"]*")?')
_NUMBERS = re.compile(r"([123])(?:,([0-9]{1,10})(?:,([0-9]{1,2}))?)?")
_KEYGEN = re.compile(r'([0-9]{1,10}),2,0(?:,"([^"]*)")?')
_CONTEXT = re.compile(r'0,"(IP|IPV6|IPV4V6)"(?:,"([^"]*)")?')
_TWO_NUMBERS = re.compile(r"([0-9]{1,10}),([0-9]{1,2})")

OK = "OK"
ERROR = "ERROR"
Answer = list[str]


class CmeError(Exception):
    """A refusal with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


class SyntaxRefusedError(Exception):
    """A command that the modem does not know, or not in this form: ERROR, without a code."""


class Modem:
    """Answers one command after the other. What it forgets without power is in `restart`."""

    def __init__(self, memory: SecTags, faults: Faults) -> None:
        self._memory = memory
        self._faults = faults
        self._spent: set[str] = set()
        self.restart()

    def restart(self) -> None:
        self._mode = self._faults.cfun
        self._codes = False
        self._context = '0,"IP","internet","10.0.1.1",0,0'

    def answer(self, command: str) -> Answer:
        """The lines of the answer, the final result last."""
        try:
            return [*self._answer(command), OK]
        except SyntaxRefusedError:
            return [ERROR]
        except CmeError as error:
            return [f"+CME ERROR: {error.code}" if self._codes else ERROR]

    def _answer(self, command: str) -> Answer:
        if command[:2].upper() != "AT":
            raise SyntaxRefusedError
        name, sign, parameters = command[2:].partition("=")
        name = name.upper() if sign else command[2:].upper()
        if not sign:
            if name in _SILENT:
                return []
            return self._told(name)
        handlers: dict[str, Callable[[str], Answer]] = {
            "%CMNG": self._cmng,
            "%KEYGEN": self._keygen,
            "%CERTEXPIRY": self._expiry,
            "+CFUN": self._set_mode,
            "+CMEE": self._set_codes,
            "+CGDCONT": self._set_context,
            "+CGSN": self._serial,
        }
        if name not in handlers:
            raise SyntaxRefusedError
        return handlers[name](parameters)

    def _told(self, name: str) -> Answer:
        match name:
            case "+CGSN":
                return [self._imei]
            case "+CGMI":
                return [MANUFACTURER]
            case "+CGMM":
                return ["nRF9160-SICA"]
            case "+CGMR":
                return [self._faults.firmware]
            case "+CIMI":
                return ["284011234567890"]
            case "+CFUN?":
                return [f"+CFUN: {self._mode}"]
            case "+CMEE?":
                return [f"+CMEE: {int(self._codes)}"]
            case "+CGDCONT?":
                return [f"+CGDCONT: {self._context}"]
            case "%HWVERSION":
                return ["%HWVERSION: nRF9160 SICA B0A"]
            case "%XICCID":
                return ["%XICCID: 8901234567012345678F"]
            case "%XSYSTEMMODE?":
                return ["%XSYSTEMMODE: 0,1,1,0"]
            case "%DEVICEUUID":
                return [f"%DEVICEUUID: {self._memory.uuid}"]
            case "%XMODEMUUID":
                return [f"%XMODEMUUID: {_FIRMWARE_UUID}"]
            case "%ATTESTTOKEN":
                token = attest.attestation_token(
                    uuid=self._memory.uuid, firmware_uuid=_FIRMWARE_UUID, identity=self._memory.identity_key
                )
                return [f'%ATTESTTOKEN: "{token}"']
        raise SyntaxRefusedError

    @property
    def _imei(self) -> str:
        return self._faults.imei or self._memory.imei

    def _serial(self, parameters: str) -> Answer:
        if parameters not in {"0", "1"}:
            raise SyntaxRefusedError
        return [self._imei if parameters == "0" else f'+CGSN: "{self._imei}"']

    def _set_mode(self, parameters: str) -> Answer:
        if not parameters.isdecimal() or int(parameters) not in _MODES:
            raise SyntaxRefusedError
        if parameters == "4" and self._strikes("cfun_refused"):
            raise CmeError(NO_ACCESS)
        self._mode = int(parameters)
        return []

    def _set_codes(self, parameters: str) -> Answer:
        if parameters not in {"0", "1"} or self._faults.cmee_refused:
            raise SyntaxRefusedError
        self._codes = parameters == "1"
        return []

    def _set_context(self, parameters: str) -> Answer:
        if not (found := _CONTEXT.fullmatch(parameters)):
            raise SyntaxRefusedError
        self._context = f'0,"{found[1]}","{found[2] or ""}","",0,0'
        return []

    # --- credentials -------------------------------------------------------------------------------------------

    def _cmng(self, parameters: str) -> Answer:
        if found := _WRITE.fullmatch(parameters):
            self._write(int(found[1]), int(found[2]), found[3])
            return []
        if not (found := _NUMBERS.fullmatch(parameters)):
            raise SyntaxRefusedError
        operation, tag, kind = found[1], *(None if one is None else int(one) for one in found.groups()[1:])
        if operation == "1":
            return [f'%CMNG: {one.tag},{one.kind},"{one.digest}"' for one in self._memory.listing(tag, kind)]
        if tag is None or kind is None:
            raise SyntaxRefusedError
        return self._read(tag, kind) if operation == "2" else self._delete(tag, kind)

    def _read(self, tag: int, kind: int) -> Answer:
        entries = self._memory.listing(tag, kind)
        if not entries:
            raise CmeError(NOT_FOUND)
        if kind in _SECRET_KINDS:
            raise CmeError(NO_ACCESS)
        return [f'%CMNG: {tag},{kind},"{entries[0].digest}","{entries[0].content.decode("latin-1")}"']

    def _write(self, tag: int, kind: int, content: str) -> None:
        self._require_writable(tag)
        if kind > sectags.PUBLIC_KEY:
            raise CmeError(NO_ACCESS)
        if self._strikes("write_error"):
            raise CmeError(self._faults.write_error)
        if not content:
            raise CmeError(INVALID_CONTENT)
        self._require_room(tag, kind)
        variant = self._faults.stores if self._strikes("stores") else ""
        self._memory.write(tag, kind, _stored(content, variant).encode("latin-1"))

    def _delete(self, tag: int, kind: int) -> Answer:
        self._require_writable(tag)
        if self._strikes("delete_error"):
            raise CmeError(self._faults.delete_error)
        if not self._memory.delete(tag, kind):
            raise CmeError(NOT_FOUND)
        return []

    def _keygen(self, parameters: str) -> Answer:
        if not (found := _KEYGEN.fullmatch(parameters)):
            raise SyntaxRefusedError
        tag = int(found[1])
        self._require_writable(tag)
        if self._strikes("keygen_fails"):
            raise CmeError(KEYGEN_FAILED)
        self._require_room(tag, sectags.CLIENT_KEY)
        key = attest.new_key()
        try:
            request = attest.certificate_request(key, found[2] or f"CN={self._memory.uuid}")
        except ValueError:
            raise CmeError(INVALID_CONTENT) from None
        self._memory.write(tag, sectags.CLIENT_KEY, key.encode())
        answer = attest.keygen_answer(
            request,
            uuid=self._memory.uuid,
            tag=tag,
            identity=self._memory.identity_key,
            attestation=self._faults.attestation if self._strikes("attestation") else "whole",
        )
        return [f'%KEYGEN: "{answer}"']

    def _expiry(self, parameters: str) -> Answer:
        if not (found := _TWO_NUMBERS.fullmatch(parameters)) or found[2] not in {"0", "1"}:
            raise SyntaxRefusedError
        content = self._memory.read(int(found[1]), int(found[2]))
        if content is None:
            raise CmeError(NOT_FOUND)
        told = attest.expiry(content)
        if told is None:
            raise CmeError(INVALID_CONTENT)
        return [f"%CERTEXPIRY: {told}"]

    def _require_writable(self, tag: int) -> None:
        if self._mode in _ACTIVE_MODES:
            raise CmeError(ACTIVE)
        if tag > sectags.HIGHEST:
            raise CmeError(NO_ACCESS)

    def _require_room(self, tag: int, kind: int) -> None:
        if self._memory.read(tag, kind) is not None:
            if self._faults.overwrite == "refuse":
                raise CmeError(EXISTS)
        elif self._strikes("memory_full"):
            raise CmeError(MEMORY_FULL)

    def _strikes(self, fault: str) -> bool:
        """Whether it is switched on; with `once`, whether this is its first time."""
        if getattr(self._faults, fault) == getattr(HARMLESS, fault) or (self._faults.once and fault in self._spent):
            return False
        self._spent.add(fault)
        return True


_SILENT = {"", "E0", "E1"}  # AT alone, and the echo that the modem itself never has


def _stored(content: str, variant: str) -> str:
    match variant:
        case "crlf":
            return content.replace("\r\n", "\n").replace("\n", "\r\n")
        case "no-newline":
            return content.rstrip("\r\n")
        case "half":
            return content[: len(content) // 2]
    return content
