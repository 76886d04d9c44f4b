"""`${...}`: what has a value, what stays as it is, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.expansion import ExpansionError, compile_template

VARIABLES = {
    "worker_id": "web",
    "ordinal": "2",
    "instance": "web/2",
    "host": "localhost",
    "port": "4003",
    "cpu_count": "8",
    "env.HOME": "/root",
    "env.EMPTY": "",
    "env.UNSET": None,
}


def expand(text: str, variables: Mapping[str, str | None]) -> str:
    return compile_template(text).render(variables)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${worker_id}-${ordinal} ${instance} ${host}:${port} ${cpu_count}", "web-2 web/2 localhost:4003 8"),
        ("${env.HOME}/x", "/root/x"),
        ("${env.HOME:-/tmp}", "/root"),
        ("${env.EMPTY}", ""),
        ("${env.EMPTY:-full}", "full"),
        ("${env.UNSET:-a:-b}", "a:-b"),
        ("${env.UNSET:-}", ""),
        ("$HOME costs $5 $", "$HOME costs $5 $"),
        ("$$", "$"),
        ("$${port}", "${port}"),
        ("$$${port}", "$4003"),
        ("a}b{c", "a}b{c"),
    ],
)
def test_what_has_a_value_is_replaced_and_the_rest_stays(template: str, expected: str) -> None:
    assert expand(template, VARIABLES) == expected


@pytest.mark.parametrize(
    ("template", "name", "position", "message", "hint"),
    [
        ("a ${ordnial}", "ordnial", 2, "`${ordnial}` is not known", "did you mean `${ordinal}`?"),
        (
            "${HOME}", "HOME", 0, "`${HOME}` is not known",
            "`${env.HOME}` is the controller's variable; `$${HOME}` leaves it to the shell",
        ),
        (
            "${#a}", "#a", 0, "`${#a}` is not known",
            "known are worker_id, ordinal, instance, host, port, cpu_count and env.NAME",
        ),
        ("${port:-80}", "port", 0, "`${port}` takes no default", "only `${env.NAME:-default}` does"),
        ("x${env.A", "env.A", 1, "`${` without `}`", "write `$${` for the characters themselves"),
        ("${env.A:-${port}}", "env.A:-${port", 0, "`${env.A:-${port` contains another `${`", "expressions do not nest"),
        (
            "${env.SHELL}", "env.SHELL", 0, "`${env.SHELL}` is not allowed",
            "start the controller with --allow-env SHELL",
        ),
        (
            "${env.SHELL:-sh}", "env.SHELL", 0, "`${env.SHELL}` is not allowed",
            "start the controller with --allow-env SHELL",
        ),
        (
            "${env.UNSET}", "env.UNSET", 0, "UNSET is not set where the controller runs",
            "write `${env.UNSET:-default}`",
        ),
    ],
)  # fmt: skip
def test_what_has_none_is_refused_with_a_suggestion(
    template: str, name: str, position: int, message: str, hint: str
) -> None:
    with pytest.raises(ExpansionError) as raised:
        expand(template, VARIABLES)
    error = raised.value
    assert (error.name, error.position, error.message, error.hint) == (name, position, message, hint)


def test_a_port_that_the_worker_does_not_have_is_said() -> None:
    with pytest.raises(ExpansionError, match="the worker has no port"):
        expand("${port}", VARIABLES | {"port": None})
    with pytest.raises(ExpansionError, match=r"`\$\{host\}` has no value here"):
        expand("${host}", {})


def test_only_texts_with_an_instance_in_them_vary() -> None:
    assert compile_template("${instance}").varies
    assert compile_template("${port}").varies
    assert not compile_template("${worker_id} $${ordinal}").varies


@given(st.text())
def test_doubling_every_dollar_sign_keeps_any_text(text: str) -> None:
    assert expand(text.replace("$", "$$"), {}) == text
