"""Response codes of the SAS-CBSD interface (WINNF-TS-0016, table of ResponseCodes) and what an answer carries."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """The response codes that a SAS may send; a CBSD treats any other code as unknown, and closes."""

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
    """The `Code` of a number in a message; None where the value is not a known code."""
    return _KNOWN.get(value) if type(value) is int else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFault:
    """Why one request of a batch is refused: the code, the parameters concerned, one line of text for people."""

    code: Code
    data: tuple[str, ...] = ()
    message: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further members of the response beside `response`, as the code allows (a grant's operationParam)."""


def response(code: Code, message: str = "", data: tuple[str, ...] = ()) -> dict[str, Any]:
    """The `response` object of an answer; message and data are left out where empty."""
    made: dict[str, Any] = {"responseCode": int(code)}
    if message or code is not Code.SUCCESS:
        made["responseMessage"] = message or code.name
    if data:
        made["responseData"] = list(data)
    return made
