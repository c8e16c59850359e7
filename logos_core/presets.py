"""A preset: one TOML file that says which account, which strategy, which limits. References to secrets, never secrets.

Unknown keys are errors that name the nearest one: a misspelt limit must not be a missing limit.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import Attribute, field, fields, frozen, validators

from logos_core.errors import ConfigurationError
from logos_core.rails.absence import AbsencePolicy
from logos_core.rails.doubt import ACCOUNT, INSTRUMENT, NOTHING, DoubtPolicy
from logos_core.rails.replace import ReplacePolicy
from logos_core.rails.retry import RetryConfig

SCHEMA = 1
ENVIRONMENTS = ("simulator", "paper", "shadow", "live")


@frozen(kw_only=True)
class RateLimitConfig:
    """The request budget, where it is to be tighter than the venue's.

    Attributes:
        requests: how many; None takes the venue's.
        period_s: in how many seconds; None takes the venue's.
        max_wait_s: how long a submit may wait for its turn.
    """

    requests: int | None = field(
        default=None, validator=validators.optional(validators.and_(validators.instance_of(int), validators.ge(1)))
    )
    period_s: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    max_wait_s: float = field(default=1.0, converter=float, validator=validators.and_(validators.ge(0), validators.le(60)))


@frozen(kw_only=True)
class SessionConfig:
    """How a session behaves.

    Attributes:
        timeout_s: the total deadline of one operation on the wire.
        ledger: where the account's ledger is; None leaves it to LOGOS_HOME.
        runs: the folder that gets a folder per session.
        extensions: the extensions to load, by name.
    """

    timeout_s: float = field(default=10.0, converter=float, validator=validators.and_(validators.gt(0), validators.le(120)))
    ledger: str | None = field(default=None, validator=validators.optional(validators.instance_of(str)))
    runs: str = field(default="runs", validator=validators.instance_of(str))
    extensions: tuple[str, ...] = field(default=(), converter=tuple)


@frozen(kw_only=True)
class Preset:
    """One checked preset.

    Attributes:
        path: the file it came from.
        venue: `plugin` or `plugin:variant`.
        environment: where orders go.
        strategy: the label that keeps this strategy's intents apart from those of others on the account.
        base_url: where the simulator listens; for the environment `simulator` only.
        account_id: the account the key must belong to; None takes whichever it belongs to.
        credentials: references, by the name of the secret.
        venue_options: the plugin's own keys.
    """

    path: Path
    venue: str
    environment: str
    strategy: str
    base_url: str | None = None
    account_id: str | None = None
    credentials: Mapping[str, str] = field(factory=dict)
    venue_options: Mapping[str, str] = field(factory=dict)
    retry: RetryConfig = field(factory=RetryConfig)
    rate_limit: RateLimitConfig = field(factory=RateLimitConfig)
    absence: AbsencePolicy = field(factory=AbsencePolicy)
    replace: ReplacePolicy = field(factory=ReplacePolicy)
    unknown: DoubtPolicy = field(factory=DoubtPolicy)
    session: SessionConfig = field(factory=SessionConfig)


_TABLES: dict[str, type[Any]] = {
    "retry": RetryConfig,
    "rate_limit": RateLimitConfig,
    "absence": AbsencePolicy,
    "replace": ReplacePolicy,
    "unknown": DoubtPolicy,
    "session": SessionConfig,
}
_TEXTS = ("venue", "environment", "strategy")
_OPTIONAL_TEXTS = ("base_url", "account_id")
_FREE_TABLES = ("credentials", "venue_options")
_KEYS = ("schema", *_TEXTS, *_OPTIONAL_TEXTS, *_FREE_TABLES, *_TABLES)


def load(path: str | Path) -> Preset:
    """Read and check a preset.

    Raises:
        ConfigurationError: naming the file, the key, what was given and what is allowed.
    """
    path = Path(path)
    body = read(path)
    _known(path, "", body, _KEYS)
    if body.get("schema") != SCHEMA:
        raise ConfigurationError(f"{path}: schema is {body.get('schema')!r}; this logos reads schema = {SCHEMA}")
    texts = {name: _text(path, name, body.get(name)) for name in _TEXTS}
    if texts["environment"] not in ENVIRONMENTS:
        raise ConfigurationError(f"{path}: environment is {texts['environment']!r}; allowed: {', '.join(ENVIRONMENTS)}")
    optional = {name: _text(path, name, body[name]) for name in _OPTIONAL_TEXTS if name in body}
    free = {name: _texts(path, name, body.get(name, {})) for name in _FREE_TABLES}
    tables = {name: _table(path, name, kind, body.get(name, {})) for name, kind in _TABLES.items()}
    if texts["environment"] == "live" and tables["unknown"].holds == NOTHING:
        raise ConfigurationError(
            f"{path}: unknown.holds is {NOTHING!r}, and environment is 'live'; allowed: {INSTRUMENT!r}, {ACCOUNT!r}"
        )
    checked: dict[str, Any] = {**texts, **optional, **free, **tables}
    return Preset(path=path, **checked)


def read(path: Path) -> dict[str, Any]:
    """Return what a preset says, unchecked.

    Raises:
        ConfigurationError: for a file that is not there, cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"the preset {path} does not exist; `logos init VENUE` writes some") from None
    except OSError as error:
        raise ConfigurationError(
            f"the preset {path} cannot be read ({error.strerror}); give a TOML file that you may read"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the preset {path} cannot be read (it is not UTF-8); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the preset {path} is not TOML: {error}") from error


def _table(path: Path, name: str, kind: type[Any], body: object) -> Any:
    if not isinstance(body, dict):
        raise ConfigurationError(f"{path}: {name} is {body!r}; it must be a table [{name}]")
    known: tuple[Attribute[Any], ...] = fields(kind)
    _known(path, f"{name}.", body, tuple(attribute.name for attribute in known))
    for key, value in body.items():
        _same_kind(path, f"{name}.{key}", value, next(a for a in known if a.name == key))
    try:
        return kind(**body)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: [{name}] {_first_line(error)}") from error


def _same_kind(path: Path, key: str, value: object, attribute: "Attribute[Any]") -> None:
    """Refuse a value of another kind than the default's, which a converter might otherwise bend into shape."""
    default = attribute.default
    if isinstance(value, bool) and not isinstance(default, bool):
        raise ConfigurationError(f"{path}: {key} is {str(value).lower()}; give a number or a text, not yes or no")
    wanted: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
    if isinstance(default, tuple):
        wanted = (list,)
    if default is None or isinstance(value, wanted):
        return
    raise ConfigurationError(
        f"{path}: {key} is {value!r}; give something like {list(default) if isinstance(default, tuple) else default!r}"
    )


def _first_line(error: Exception) -> str:
    return str(error.args[0] if error.args else error).split("\n")[0]


def _known(path: Path, prefix: str, body: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in body:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"allowed: {', '.join(keys)}"
            raise ConfigurationError(f"{path}: unknown key {prefix}{key}; {hint}")


def _text(path: Path, name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{path}: {name} is {value!r}; it must be a text")
    return value


def _texts(path: Path, name: str, body: object) -> dict[str, str]:
    if not isinstance(body, dict):
        raise ConfigurationError(f"{path}: {name} must be a table [{name}]")
    for key, value in body.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: {name}.{key} must be a text in quotes")
    return dict(body)
