"""Response codes of the SAS-CBSD interface (WINNF-TS-0016, table of ResponseCodes) and what an answer carries."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """What a SAS may answer. Anything else a CBSD is told is unknown, and closes."""

    SUCCESS = 0
    VERSION = 100
    BLACKLISTED = 101
    MISSING_PARAM = 102
    INVALID_VALUE = 103
    CERT_ERROR = 104
    DEREGISTER = 105
    REG_PENDING = 200
    GROUP_ERROR = 201
    UNSUPPORTED_SPECTRUM = 300
    INTERFERENCE = 400
    GRANT_CONFLICT = 401
    TERMINATED_GRANT = 500
    SUSPENDED_GRANT = 501
    UNSYNC_OP_PARAM = 502


_KNOWN = {int(code): code for code in Code}


def known(value: object) -> Code | None:
    """The code of a number as it stands in a message; None for anything that is none."""
    return _KNOWN.get(value) if type(value) is int else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFault:
    """Why one request of a batch is not served: the code, the parameters it is about, one line for people."""

    code: Code
    data: tuple[str, ...] = ()
    message: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further members of the answer beside its response, as the code allows (a grant's operationParam)."""


def response(code: Code, message: str = "", data: tuple[str, ...] = ()) -> dict[str, Any]:
    """The `response` object of an answer; data and message only where there are some."""
    made: dict[str, Any] = {"responseCode": int(code)}
    if message or code is not Code.SUCCESS:
        made["responseMessage"] = message or code.name
    if data:
        made["responseData"] = list(data)
    return made
