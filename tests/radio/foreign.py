"""Other programs that use a Pluto at the same time: libiio's own, and its Python binding."""

import os
import shutil
import subprocess
from typing import Any

import pytest

from radio.drivers.pluto.libiio import connect

PACKAGES = {"iio_attr": "libiio-utils", "iio_info": "libiio-utils", "iio_readdev": "libiio-utils", "iiod": "iiod"}


def absent(what: str) -> None:
    """Skip the test without a part that it needs, or fail where the part is required."""
    if os.environ.get("BANDPACT_REAL_PARTS") == "required":
        pytest.fail(what)
    pytest.skip(what)


def program(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where it is required."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        absent(f"{name} is not here: apt-get install {PACKAGES.get(name, name)}")
    return str(found)


def iio_attr(uri: str, device: str, channel: str, output: bool, attribute: str, text: str) -> None:
    """Write one attribute as libiio's own program does; without a channel it is the device's own."""
    where = ["-c", "-o" if output else "-i", device, channel] if channel else ["-d", device]
    command = [program("iio_attr"), "-u", uri, *where, attribute, text]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def write(uri: str, device: str, channel: str, output: bool, attribute: str, text: str) -> None:
    """Write one attribute with libiio's Python binding."""
    context: Any = connect(uri, timeout_ms=2000)
    found = context.find_device(device)
    if channel:
        found.find_channel(channel, output).attrs[attribute].value = text
    elif attribute in found.attrs:
        found.attrs[attribute].value = text
    else:
        found.debug_attrs[attribute].value = text
