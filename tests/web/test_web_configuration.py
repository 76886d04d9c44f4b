"""Specs written in the browser: by form and YAML at once, judged while they are typed, applied when it is said."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.e2e_installation import Installation
from tests.web.web_browser import NARROW, Tab, tab

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
HOSTILE = "<img src=x onerror=alert(1)>\\u202egnp"
MAILER = f"""\
# Sends the mail of the shop.
worker_id: mailer
name: "{HOSTILE}"
command: ["sh", "-c", "exit 3"]  # it falls
env:
  QUEUE: fast  # bulk has its own
  API_TOKEN: hunter2
max_restart_attempts: 0
"""
MENDED = MAILER.replace('["sh", "-c", "exit 3"]', '["sleep", "1000"]')
THEIRS = MENDED.replace("attempts: 0", "attempts: 7").replace("fast", "slow").replace("it falls", "it stands")
MERGED = THEIRS.replace("attempts: 7", "attempts: 5")


def yaml_of(page: Page) -> Locator:
    return page.get_by_label("YAML of the spec")


def field(page: Page, name: str) -> Locator:
    return page.locator(f'.conf-form [data-path="/{name}"]')


def read(site: Installation, name: str) -> str:
    return (site.specs / name).read_text("utf-8")


def apply(page: Page, verb: str) -> None:
    page.get_by_role("button", name=f"{verb}\u2026").click()
    page.get_by_role("dialog").get_by_role("button", name=verb, exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def creates_a_worker(site: Installation, opened: Tab) -> None:
    """A new worker, by the form. What is wrong stands at its field, in the API's words; mended, it may be applied."""
    page, title, dialog = opened.page, opened.page.locator("h1").first, opened.page.get_by_role("dialog")
    opened.open("/configuration")
    expect(page.get_by_role("region", name="Problems")).to_contain_text("torn.yaml:3:1")
    page.get_by_role("link", name="New worker").click()
    page.get_by_label("worker_id").fill("web")
    field(page, "command").fill("sleep\n1000")
    field(page, "replicas").fill("two")
    expect(page.get_by_role("button", name="Create\u2026")).to_be_disabled()
    expect(page.locator(".conf-field", has=page.locator('[data-path="/replicas"]'))).to_contain_text(
        'expected an integer, got "two"'
    )
    expect(yaml_of(page)).to_have_value('worker_id: web\ncommand: [sleep, "1000"]\nreplicas: two\n')
    field(page, "replicas").fill("2")
    expect(page.get_by_role("region", name="What it would bring")).to_contain_text("web/0, web/1")
    page.get_by_role("button", name="Create\u2026").click()
    expect(dialog).to_contain_text("web/0, web/1 are started.")
    expect(dialog).to_contain_text("workerctl apply -f web.yaml")
    opened.keep("configuration-create")
    assert opened.breaches() == []
    dialog.get_by_role("button", name="Create").click()
    expect(title).to_contain_text("running")
    assert read(site, "web.yaml") == 'worker_id: web\ncommand: [sleep, "1000"]\nreplicas: 2\n'


def mends_a_name(site: Installation, opened: Tab) -> None:
    """A field that no spec has is named, with what was meant."""
    page = opened.page
    opened.open("/configuration/typo")
    page.get_by_role("button", name="Rename it to replicas").click()
    expect(yaml_of(page)).to_have_value(re.compile("replicas: 2"))
    apply(page, "Apply")
    site.until_running("typo")


def mends_a_crash(site: Installation, opened: Tab) -> None:
    """A crash is mended in its spec. Comments stay, and so does what was hidden."""
    page = opened.page
    opened.open("/workers/mailer")
    page.get_by_role("link", name="Edit").click()
    expect(yaml_of(page)).to_have_value(re.compile('API_TOKEN: "\\*\\*\\*"'))
    field(page, "command").fill("sleep\n1000")
    apply(page, "Apply")
    site.until_running("mailer")
    assert read(site, "mailer.yaml") == MENDED


def meets_somebody_else(site: Installation, opened: Tab) -> None:
    """Somebody else writes meanwhile: both sides are shown, also after a reload, and a person chooses."""
    page = opened.page
    opened.open("/configuration/mailer?field=max_restart_attempts")
    expect(field(page, "max_restart_attempts")).to_be_focused()
    field(page, "max_restart_attempts").fill("5")
    expect(yaml_of(page)).to_have_value(re.compile("max_restart_attempts: 5"))
    site.write("mailer.yaml", THEIRS)
    expect(page.get_by_text("Somebody else changed this spec meanwhile")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Somebody else changed this spec meanwhile")).to_be_visible()
    opened.keep("configuration-conflict")
    assert opened.breaches() == []
    assert read(site, "mailer.yaml") == THEIRS
    expect(page.get_by_role("button", name="Take both")).to_be_disabled()
    page.get_by_label("5", exact=True).check()
    page.get_by_role("button", name="Take both").click()
    apply(page, "Apply")
    expect(page.locator(".toast", has_text="mailer was changed")).to_be_visible()
    page.locator(".toast", has_text="mailer was changed").get_by_label("Dismiss").click()
    assert read(site, "mailer.yaml") == MERGED


def takes_it_back(site: Installation, opened: Tab) -> None:
    """What the YAML says stands in the form; what cannot be read locks it. Applied by mistake, it is taken back."""
    page = opened.page
    text = yaml_of(page).input_value()
    yaml_of(page).fill(text + "port: [\n")
    expect(page.get_by_text("The YAML cannot be read as it is now.")).to_be_visible()
    yaml_of(page).fill(text + "replicas: 3  # for the sale\n")
    expect(field(page, "replicas")).to_have_value("3")
    apply(page, "Apply")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast", has_text="mailer is as it was")).to_be_visible()
    assert read(site, "mailer.yaml") == MERGED


def deletes_a_worker(site: Installation, opened: Tab) -> None:
    """Deleting says what follows, and wants the name."""
    page, title, dialog = opened.page, opened.page.locator("h1").first, opened.page.get_by_role("dialog")
    opened.open("/configuration/web")
    page.get_by_label("More of web").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(dialog).to_contain_text("web/0, web/1 are stopped and removed.")
    assert opened.breaches() == []
    dialog.get_by_label("Type web to delete it").fill("web")
    dialog.get_by_role("button", name="Delete").click()
    expect(title).to_have_text("Configuration")
    expect(page.get_by_role("link", name="web", exact=True)).to_have_count(0)


def test_a_spec_is_written_mended_changed_and_deleted_and_nothing_typed_is_lost(
    site: Installation, chromium: Browser
) -> None:
    site.write("mailer.yaml", MAILER)
    site.write("typo.yaml", 'worker_id: typo\ncommand: [sleep, "1000"]\nreplicsa: 2\n')
    site.write("torn.yaml", "worker_id: torn\ncommand: [\n")
    site.serve()
    site.until_status("mailer", "error")
    with tab(chromium, f"http://{site.listen}") as opened:
        creates_a_worker(site, opened)
        mends_a_name(site, opened)
        mends_a_crash(site, opened)
        meets_somebody_else(site, opened)
        takes_it_back(site, opened)
        deletes_a_worker(site, opened)
    with tab(chromium, f"http://{site.listen}", NARROW, scheme="dark") as opened:
        opened.open("/configuration/new")
        opened.page.get_by_label("worker_id").fill("WRONG")
        expect(opened.page.get_by_role("region", name="What it would bring")).to_contain_text("1 problem")
        opened.keep("configuration-narrow")
        assert (opened.breaches(), opened.overflows()) == ([], False)
