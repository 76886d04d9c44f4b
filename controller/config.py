"""Settings: flags over environment over file, each value with its source.

Read once by `serve`; everything else gets a finished `Settings`. The file is TOML (`WORKERCTL_CONFIG`, else
`/etc/workerctl/config.toml` for root, else `$XDG_CONFIG_HOME/workerctl/config.toml`); its keys are the flags' names.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from controller.core.spec import ENV_NAME

RETAIN_BYTES = 4 * 1024**3
"""Of log lines in the database, where nobody says more."""


class ConfigError(Exception):
    """A setting that cannot be used; the message names it, its source and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `serve` runs with. `origins` tells where each value came from (`--flag`, variable, file, `default`)."""

    specs: Path
    state_dir: Path
    db: str
    listen: str
    on_exit: Literal["stop", "keep"]
    stop_timeout_s: float
    allow_env: tuple[str, ...]
    allowed_host: tuple[str, ...]
    log_format: Literal["text", "json"]
    writes: Literal["file", "commit", "push", "readonly"] = "file"
    auth: Literal["peer", "required"] = "peer"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure_http: bool = False
    forward: tuple[str, ...] = ()
    retain_days: int | None = None
    retain_lines: int | None = None
    retain_bytes: int | None = RETAIN_BYTES
    origins: Mapping[str, str] = field(default_factory=dict)


def default_state_dir(env: Mapping[str, str], *, root: bool) -> Path:
    """`/var/lib/workerctl` for root, else XDG."""
    if root:
        return Path("/var/lib/workerctl")
    base = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(base) / "workerctl"


def config_file(env: Mapping[str, str], *, root: bool) -> tuple[Path, bool]:
    """The settings file, and whether a person named it (then it must exist)."""
    if named := env.get("WORKERCTL_CONFIG"):
        return Path(named), True
    if root:
        return Path("/etc/workerctl/config.toml"), False
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "workerctl" / "config.toml", False


def load(flags: Mapping[str, Any], env: Mapping[str, str], *, root: bool | None = None) -> Settings:
    """Settings from `flags` (None: not given), the environment and the file. Raises ConfigError."""
    root = os.geteuid() == 0 if root is None else root
    picked = _Picked(flags, env, _read_file(*config_file(env, root=root)))
    tls_cert = picked.value("tls_cert", _file, lambda: None)
    tls_key = picked.value("tls_key", _file, lambda: None)
    if (tls_cert is None) != (tls_key is None):
        given, missing = ("tls_cert", "tls_key") if tls_key is None else ("tls_key", "tls_cert")
        raise ConfigError(f"{picked.origins[given]}: {given} needs {missing} too")
    state_dir = picked.value("state_dir", _path, lambda: default_state_dir(env, root=root)).absolute()
    return Settings(
        specs=picked.value("specs", _path, lambda: Path("specs")).absolute(),
        state_dir=state_dir,
        db=picked.value("db", _text, lambda: str(state_dir / "workerctl.db")),
        listen=picked.value("listen", _text, lambda: "127.0.0.1:3000"),
        on_exit=picked.value("on_exit", _one_of("stop", "keep"), lambda: "stop"),
        stop_timeout_s=picked.value("stop_timeout", _seconds, lambda: 90.0),
        allow_env=picked.value("allow_env", _names, lambda: ()),
        allowed_host=picked.value("allowed_host", _hosts, lambda: ()),
        log_format=picked.value("log_format", _one_of("text", "json"), lambda: "text"),
        writes=picked.value("writes", _one_of("file", "commit", "push", "readonly"), lambda: "file"),
        auth=picked.value("auth", _one_of("peer", "required"), lambda: "peer"),
        tls_cert=tls_cert,
        tls_key=tls_key,
        insecure_http=picked.value("insecure_http", _switch, lambda: False),
        forward=picked.value("forward", _urls, lambda: ()),
        retain_days=picked.value("retain_days", _limit("days", 1), lambda: None),
        retain_lines=picked.value("retain_lines", _limit("lines", 1), lambda: None),
        retain_bytes=picked.value("retain_bytes", _limit("bytes", 1_048_576), lambda: RETAIN_BYTES),
        origins=picked.origins,
    )


class _Picked:
    """Looks each setting up in its three places and remembers where it was found."""

    def __init__(self, flags: Mapping[str, Any], env: Mapping[str, str], file: tuple[Path, dict[str, Any]]) -> None:
        self._flags, self._env = flags, env
        self._path, self._file = file
        self.origins: dict[str, str] = {}

    def value(self, name: str, read: Callable[[Any], Any], default: Callable[[], Any]) -> Any:
        variable = f"WORKERCTL_{name.upper()}"
        if self._flags.get(name) is not None:
            raw, origin = self._flags[name], "--" + name.replace("_", "-")
        elif self._env.get(variable):
            raw, origin = self._env[variable], variable
        elif name in self._file:
            raw, origin = self._file[name], str(self._path)
        else:
            self.origins[name] = "default"
            return default()
        self.origins[name] = origin
        try:
            return read(raw)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{origin}: {name} cannot be {raw!r}: {error}") from None


def _read_file(path: Path, required: bool) -> tuple[Path, dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if required:
            raise ConfigError(f"WORKERCTL_CONFIG: {path} does not exist") from None
        return path, {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from None
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    known = set(Settings.__dataclass_fields__) - {"origins", "stop_timeout_s"} | {"stop_timeout"}
    if unknown := sorted(set(values) - known):
        raise ConfigError(f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}")
    return path, values


def _text(raw: Any) -> str:
    text = os.fspath(raw) if isinstance(raw, os.PathLike) else raw
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError("expected a text")
    return text


def _path(raw: Any) -> Path:
    try:
        return Path(_text(raw)).expanduser()
    except RuntimeError:
        raise ValueError("the home directory is not known") from None


def _file(raw: Any) -> Path:
    return _path(raw).absolute()


def _switch(raw: Any) -> bool:
    word = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(str(raw).lower())
    if word is None:
        raise ValueError("expected true or false")
    return word


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(raw: Any) -> str:
        if raw not in words:
            raise ValueError(f"expected {' or '.join(words)}")
        return str(raw)

    return read


def _seconds(raw: Any) -> float:
    try:
        value = float("no" if isinstance(raw, bool) else raw)
    except (TypeError, ValueError):
        raise ValueError("expected a number of seconds") from None
    if not 0 <= value <= 86_400:
        raise ValueError("expected 0 to 86400 seconds")
    return value


def _limit(unit: str, least: int) -> Callable[[Any], int | None]:
    def read(raw: Any) -> int | None:
        if raw == "none":
            return None
        digits = str(raw) if isinstance(raw, int | str) and not isinstance(raw, bool) else ""
        if not re.fullmatch("[0-9]{1,18}", digits) or int(digits) < least:
            raise ValueError(f"expected a whole number of {unit}, {least} or more, or none")
        return int(digits)

    return read


def _hosts(raw: Any) -> tuple[str, ...]:
    names = _list(raw, "host names")
    if not all(re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", name) for name in names):
        raise ValueError("expected host names, separated by commas")
    return names


def _urls(raw: Any) -> tuple[str, ...]:
    return _list(raw, "URLs")


def _names(raw: Any) -> tuple[str, ...]:
    names = _list(raw, "names of environment variables")
    for name in names:
        if not re.fullmatch(ENV_NAME, name):
            raise ValueError(f"{name!r} is not the name of an environment variable")
    return names


def _list(raw: Any, what: str) -> tuple[str, ...]:
    found = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(found, list | tuple) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"expected {what}, separated by commas")
    return tuple(name.strip() for name in found)
