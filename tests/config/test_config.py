"""Settings: flags over environment over file, each with where it came from, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.config import ConfigError, Settings, load

SETTINGS = (
    "specs", "state_dir", "db", "listen", "on_exit", "stop_timeout", "allow_env", "log_format", "allowed_host",
    "writes",
    "auth", "tls_cert", "tls_key", "insecure_http", "forward", "retain_days", "retain_lines", "retain_bytes",
)  # fmt: skip


def loaded(
    flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None, *, root: bool = False
) -> Settings:
    return load(flags or {}, {"HOME": "/home/ann", **(env or {})}, root=root)


def with_file(tmp_path: Path, text: str, flags: Mapping[str, Any] | None = None, **env: str) -> Settings:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return loaded(flags, {"WORKERCTL_CONFIG": str(file), **env})


def test_without_anything_the_defaults_hold() -> None:
    assert loaded() == Settings(
        specs=Path("specs").absolute(),
        state_dir=Path("/home/ann/.local/state/workerctl"),
        db="/home/ann/.local/state/workerctl/workerctl.db",
        listen="127.0.0.1:3000",
        on_exit="stop",
        stop_timeout_s=90.0,
        allow_env=(),
        log_format="text",
        allowed_host=(),
        origins=dict.fromkeys(SETTINGS, "default"),
    )


def test_root_and_xdg_have_places_of_their_own() -> None:
    assert loaded(root=True).state_dir == Path("/var/lib/workerctl")
    assert loaded(env={"XDG_STATE_HOME": "/xdg"}).state_dir == Path("/xdg/workerctl")


def test_flags_go_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    text = 'listen = "127.0.0.1:1"\non_exit = "keep"\nlog_format = "json"\nallow_env = ["A", "B"]\nstop_timeout = 5'
    found = with_file(
        tmp_path, text, {"listen": "127.0.0.1:3", "db": None}, WORKERCTL_LISTEN="127.0.0.1:2", WORKERCTL_ON_EXIT="stop",
        WORKERCTL_DB="",
    )  # fmt: skip
    file = str(tmp_path / "config.toml")
    assert (found.listen, found.on_exit, found.log_format, found.allow_env, found.stop_timeout_s) == (
        "127.0.0.1:3", "stop", "json", ("A", "B"), 5.0,
    )  # fmt: skip
    assert found.origins == {
        "specs": "default", "state_dir": "default", "db": "default", "listen": "--listen",
        "on_exit": "WORKERCTL_ON_EXIT", "stop_timeout": file, "allow_env": file, "log_format": file,
        "allowed_host": "default", "writes": "default", "auth": "default", "tls_cert": "default",
        "tls_key": "default", "insecure_http": "default", "forward": "default", "retain_days": "default",
        "retain_lines": "default", "retain_bytes": "default",
    }  # fmt: skip


def test_how_specs_are_written_is_a_setting_like_the_others(tmp_path: Path) -> None:
    assert loaded(env={"WORKERCTL_WRITES": "commit"}).writes == "commit"
    assert with_file(tmp_path, 'writes = "readonly"', {"writes": "push"}).writes == "push"
    with pytest.raises(ConfigError, match="expected file or commit or push or readonly"):
        loaded(env={"WORKERCTL_WRITES": "force"})


def test_targets_of_logs_are_a_list_in_the_file_and_a_text_with_commas_elsewhere(tmp_path: Path) -> None:
    both = ("loki+http://a", "syslog+udp://b")
    assert with_file(tmp_path, 'forward = ["loki+http://a", "syslog+udp://b"]').forward == both
    assert loaded(env={"WORKERCTL_FORWARD": "loki+http://a, syslog+udp://b"}).forward == both


def test_limits_of_the_log_are_whole_numbers_or_none(tmp_path: Path) -> None:
    found = with_file(tmp_path, 'retain_lines = 5\nretain_bytes = "none"', {"retain_days": "30"})
    assert (found.retain_days, found.retain_lines, found.retain_bytes) == (30, 5, None)
    assert loaded().retain_bytes == 4 * 1024**3
    for wrong in ("0", "-1", "1.5", "10GB", True, 2.0, "9" * 19):
        with pytest.raises(ConfigError, match=r"retain_bytes cannot be .*: expected a whole number of bytes, 1048576"):
            loaded({"retain_bytes": wrong})
    with pytest.raises(ConfigError) as raised:
        loaded(env={"WORKERCTL_RETAIN_DAYS": "0"})
    assert str(raised.value) == (
        "WORKERCTL_RETAIN_DAYS: retain_days cannot be '0': expected a whole number of days, 1 or more, or none"
    )


def test_the_file_is_looked_for_where_such_files_are(tmp_path: Path) -> None:
    (tmp_path / "workerctl").mkdir()
    (tmp_path / "workerctl" / "config.toml").write_text('db = "postgresql://x/y"')
    assert loaded(env={"XDG_CONFIG_HOME": str(tmp_path)}).db == "postgresql://x/y"


def test_the_database_lies_in_the_state_directory_and_paths_are_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    monkeypatch.setenv("HOME", "/home/ann")
    found = loaded({"state_dir": "state", "specs": Path("here")}, {"WORKERCTL_ALLOW_ENV": "A, B_2"})
    assert (found.state_dir, found.db, found.specs) == (
        Path("/tmp/state"),
        "/tmp/state/workerctl.db",
        Path("/tmp/here"),
    )
    assert found.allow_env == ("A", "B_2")
    assert loaded({"state_dir": "~/state"}).state_dir == Path("/home/ann/state")


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        ({"on_exit": "burn"}, {}, "--on-exit: on_exit cannot be 'burn': expected stop or keep"),
        ({}, {"WORKERCTL_STOP_TIMEOUT": "soon"}, "WORKERCTL_STOP_TIMEOUT: .*expected a number of seconds"),
        ({"stop_timeout": float("nan")}, {}, "expected 0 to 86400 seconds"),
        ({"stop_timeout": -1}, {}, "expected 0 to 86400 seconds"),
        ({}, {"WORKERCTL_ALLOW_ENV": "A,2B"}, "'2B' is not the name of an environment variable"),
        ({"db": ""}, {}, "--db: db cannot be '': expected a text"),
        ({}, {"WORKERCTL_LOG_FORMAT": "xml"}, "expected text or json"),
        ({"specs": "~nobody-of-this-name/x"}, {}, "the home directory is not known"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_source(
    flags: dict[str, Any], env: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(flags, env)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen = 3000", "config.toml: listen cannot be 3000: expected a text"),
        ("specs = 3", "specs cannot be 3: expected a text"),
        ('db = "a\\u0000b"', "expected a text"),
        ("stop_timeout = true", "expected a number of seconds"),
        ("stop_timeout = [1]", "expected a number of seconds"),
        ("allow_env = 5", "expected names of environment variables"),
        ("allowed_host = 5", "expected host names"),
        ("allowed_host = ['a b']", "expected host names"),
        ("allow_env = [1]", "expected names of environment variables"),
        ("lisen = 'x'", "unknown setting 'lisen'; known are allow_env, allowed_host, auth, db,"),
        ("auth = 'none'", "expected peer or required"),
        ("insecure_http = 'maybe'", "expected true or false"),
        ("tls_cert = 'c.pem'", "tls_cert needs tls_key too"),
        ("tls_key = 'k.pem'", "tls_key needs tls_cert too"),
        ("listen = ", "config.toml: Invalid value"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_file(tmp_path, text)


def test_a_file_that_was_named_must_be_there_and_readable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"WORKERCTL_CONFIG: .*none\.toml does not exist"):
        loaded(env={"WORKERCTL_CONFIG": str(tmp_path / "none.toml")})
    with pytest.raises(ConfigError, match="cannot read"):
        loaded(env={"WORKERCTL_CONFIG": str(tmp_path)})
    (tmp_path / "latin").write_bytes(b"db = '\xff'")
    with pytest.raises(ConfigError, match="cannot read"):
        loaded(env={"WORKERCTL_CONFIG": str(tmp_path / "latin")})


def test_who_is_let_in_and_how_may_be_said_in_the_file(tmp_path: Path) -> None:
    text = 'auth = "required"\ntls_cert = "/c.pem"\ntls_key = "/k.pem"\ninsecure_http = true'
    found = with_file(tmp_path, text, WORKERCTL_INSECURE_HTTP="false")

    assert (found.auth, found.tls_cert, found.tls_key, found.insecure_http) == (
        "required", Path("/c.pem"), Path("/k.pem"), False,
    )  # fmt: skip
