"""Loads profiles: the package's own by name, others by path. Unknown hardware is refused."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from hw_profiles.limits import ServiceLimits
from hw_profiles.misfit import first_misfit
from hw_profiles.profile import RadioProfile
from hw_profiles.smallfile import read_small_text
from hw_profiles.tomltext import read_toml

FOLDER = Path(__file__).parent
_Loaded = TypeVar("_Loaded", RadioProfile, ServiceLimits)


class ProfileError(Exception):
    """A profile cannot be used; the message names the file, the key and the remedy."""


class UnknownHardware(ProfileError):
    """No profile matches this unit, so its allowed settings are unknown."""


def _path_of(name: str, folder: Path) -> Path:
    return Path(name) if "/" in name or name.endswith(".toml") else folder / f"{name}.toml"


def _read(path: Path, known: str) -> dict[str, object]:
    try:
        return read_toml(read_small_text(path))
    except FileNotFoundError as exc:
        raise ProfileError(f"{path}: no such profile; there are {known}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ProfileError(f"{path}: cannot be read ({exc}); give a TOML file") from exc
    except tomllib.TOMLDecodeError as exc:
        raise ProfileError(f"{path}: {exc}; a profile is a TOML file") from exc


def _load(name: str, model: type[_Loaded], folder: Path) -> _Loaded:
    path = _path_of(name, folder)
    values = _read(path, ", ".join(names(folder)))
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        first = first_misfit(exc)
        raise ProfileError(f"{path}: {first.key or 'the file'}: {first.said}; mend this key") from exc


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the profiles in a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_radio(name: str, folder: Path = FOLDER) -> RadioProfile:
    """Read a radio's profile by name or path; raises ProfileError naming file and key."""
    return _load(name, RadioProfile, folder)


def load_limits(name: str, folder: Path = FOLDER) -> ServiceLimits:
    """Read a service's limits by name or path; raises ProfileError naming file and key."""
    return _load(name, ServiceLimits, folder)


def radios(folder: Path = FOLDER) -> Iterator[RadioProfile]:
    """Every radio's profile in a folder; raises ProfileError at the first that is wrong."""
    for name in names(folder):
        if _read(_path_of(name, folder), "").get("kind") == "radio":
            yield load_radio(name, folder)


def find_radio(*, hw_model: str, chip_model: str, firmware: str = "", folder: Path = FOLDER) -> RadioProfile:
    """The one profile that matches a unit's reported model, chip and firmware.

    Raises:
        UnknownHardware: no profile or several match, or `firmware` is given and not known to work.
        ProfileError: a profile in the folder is wrong.
    """
    found = [p for p in radios(folder) if p.model_match.matches(hw_model=hw_model, chip_model=chip_model)]
    if len(found) != 1:
        kinds = ", ".join(p.id for p in found) or "none"
        raise UnknownHardware(
            f"model {hw_model!r} with chip {chip_model!r}: matching profiles: {kinds}; name one in the configuration"
        )
    if firmware and not found[0].firmware_known(firmware):
        raise UnknownHardware(f"firmware {firmware!r} is not known to work with {found[0].id}; see fw_allow, fw_deny")
    return found[0]
