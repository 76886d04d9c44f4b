"""Whom a launch runs as."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

import pytest

from controller.agent.accounts import Account, AccountError, resolve

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run workers as another user")


def test_a_launch_that_names_nobody_is_ours_and_orders_nothing() -> None:
    account = resolve({"user": None, "group": None})
    own = pwd.getpwuid(os.geteuid())
    assert (account.uid, account.gid, account.is_own) == (os.geteuid(), os.getegid(), True)
    assert account.order_fields() == {}
    assert account.environment() == {"HOME": own.pw_dir, "USER": own.pw_name, "LOGNAME": own.pw_name}


def test_our_own_name_and_number_are_ours() -> None:
    own = pwd.getpwuid(os.geteuid())
    assert [resolve({"user": text}).uid for text in (own.pw_name, str(own.pw_uid))] == [own.pw_uid] * 2


@AS_ROOT
def test_a_name_brings_its_groups_and_its_home() -> None:
    entry = pwd.getpwnam("daemon")
    account = resolve({"user": "daemon"})
    assert account.order_fields() == {
        "uid": entry.pw_uid, "gid": entry.pw_gid, "groups": sorted(os.getgrouplist("daemon", entry.pw_gid)),
    }  # fmt: skip
    assert account.environment() == {"HOME": entry.pw_dir, "USER": "daemon", "LOGNAME": "daemon"}
    assert resolve({"user": str(entry.pw_uid)}) == account


@AS_ROOT
def test_a_group_replaces_the_primary_one() -> None:
    account = resolve({"user": "daemon", "group": "12345"})
    assert (account.gid, 12345 in account.groups) == (12345, True)


@AS_ROOT
def test_a_number_without_an_entry_has_the_group_of_its_number_and_no_home() -> None:
    account = resolve({"user": "54321"})
    assert account == Account(54321, 54321, (54321,), "", "/")
    assert account.environment() == {"HOME": "/", "USER": "54321", "LOGNAME": "54321"}


@AS_ROOT
def test_a_group_alone_keeps_our_user() -> None:
    account = resolve({"group": "12345"})
    assert (account.uid, account.gid, account.order_fields()["uid"]) == (0, 12345, 0)


@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ({"user": "no-such-user"}, 'unknown user "no-such-user"'),
        ({"user": "-1"}, 'unknown user "-1"'),
        ({"user": "4294967295"}, 'unknown user "4294967295"'),
        ({"user": "a\0b"}, 'unknown user "a\0b"'),
        ({"group": "no-such-group"}, 'unknown group "no-such-group"'),
        ({"user": "root", "group": "²"}, 'unknown group "²"'),
    ],
)
def test_who_is_not_there_is_named(launch: dict[str, str], message: str) -> None:
    if os.geteuid() != 0 and launch.get("user") == "root":
        message = 'user "root": only root may run workers as another user'
    with pytest.raises(AccountError) as caught:
        resolve(launch)
    assert str(caught.value) == message


@pytest.fixture
def nobody() -> Iterator[None]:
    os.setegid(65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    os.setegid(0)


@AS_ROOT
@pytest.mark.parametrize(
    ("launch", "message"),
    [
        ({"user": "root"}, 'user "root": only root may run workers as another user'),
        ({"group": "12345"}, 'group "12345": only root may run workers as another group'),
    ],
)
def test_who_is_not_root_is_nobody_else(nobody: None, launch: dict[str, str], message: str) -> None:
    with pytest.raises(AccountError) as caught:
        resolve(launch)
    assert str(caught.value) == message


@AS_ROOT
def test_who_is_not_root_may_name_itself(nobody: None) -> None:
    assert resolve({"user": "65534", "group": "65534"}).order_fields() == {}
