"""Secrets are referred to, resolved late, and never shown.

A preset names where a secret is (`env:NAME`, `file:PATH`); a literal in its place is refused without being repeated.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from logos_core.errors import ConfigurationError

_REFERENCE = re.compile(r"(env|file|keyring):(.+)", re.DOTALL)


class Secret:
    """A value that does not print, pickle, copy or compare itself. Only `reveal` gives it out."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the value, to be handed to the SDK and kept nowhere else."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret('…')"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied or stored; keep its reference instead")


def resolve(name: str, reference: object, environ: Mapping[str, str]) -> Secret:
    """Return the secret that a reference names.

    Args:
        name: the preset's key, for messages.
        reference: `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME`.
        environ: the environment to read `env:` references from.

    Raises:
        ConfigurationError: for a literal, an unknown scheme, or a secret that is not there. The value given is never repeated.
    """
    match = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if match is None:
        raise ConfigurationError(
            f"{name}: a secret stands here as a literal; write a reference instead: env:NAME, file:PATH or keyring:SERVICE/NAME"
        )
    scheme, target = match.groups()
    value = _READERS[scheme](name, target, environ)
    if not value.strip():
        raise ConfigurationError(f"{name}: {scheme}:{target} is empty; put the secret there")
    return Secret(value.strip())


def _from_environment(name: str, target: str, environ: Mapping[str, str]) -> str:
    if target not in environ:
        raise ConfigurationError(f"{name}: the environment variable {target} is not set; set it to the secret")
    return environ[target]


def _from_file(name: str, target: str, _environ: Mapping[str, str]) -> str:
    path = Path(target).expanduser()
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name}: the file {path} cannot be read ({type(error).__name__}); put the secret there") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(f"{name}: others can read {path}; run: chmod 600 {path}")
    return text


def _from_keyring(name: str, target: str, _environ: Mapping[str, str]) -> str:
    service, separator, user = target.partition("/")
    if not separator:
        raise ConfigurationError(f"{name}: keyring:{target} does not name SERVICE/NAME")
    try:
        import keyring
    except ImportError:
        raise ConfigurationError(f"{name}: keyring: needs the package keyring; run: pip install keyring") from None
    value = keyring.get_password(service, user)
    if value is None:
        raise ConfigurationError(f"{name}: the keyring holds nothing under {target}; store the secret there")
    return str(value)


_READERS: dict[str, Callable[[str, str, Mapping[str, str]], str]] = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
}
