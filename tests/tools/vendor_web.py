"""Fetches the few libraries of the web UI from npm and writes them where they are served from, with their hashes.

    python tests/tools/vendor_web.py

Needs npm, which nothing else does: what it writes is committed, and `tests/web/test_web_vendor.py` hashes it again. To
upgrade one, change its version in PACKAGES, run this, and run the tests of the web UI.

The files are taken as they are published but for three things: bare imports become relative ones (an import map would
have to stand inline, which our Content-Security-Policy refuses), the hint at a source map that is not shipped goes, and
one line at the top names version, licence and origin.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "controller/web/static/vendor"
TESTED = ROOT / "tests/web/vendor"
_SOURCE_MAP = re.compile(r"[ \t]*(//[#@] sourceMappingURL=\S*|/\*[#@] sourceMappingURL=\S* \*/)")
_IMPORTS = {
    "preact": "./preact.mjs",
    "preact/hooks": "./hooks.mjs",
    "@preact/signals-core": "./signals-core.mjs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of npm, and what is taken of it: our name by the path in the package."""

    name: str
    version: str
    licence: str
    files: dict[str, str]
    folder: Path = SHIPPED


PACKAGES = (
    Package(
        name="preact", version="11.2.0", licence="MIT",
        files={"dist/preact.mjs": "preact.mjs", "hooks/dist/hooks.mjs": "hooks.mjs"},
    ),
    Package(
        name="@preact/signals-core", version="1.14.5", licence="MIT",
        files={"dist/signals-core.mjs": "signals-core.mjs"},
    ),
    Package(name="@preact/signals", version="2.11.4", licence="MIT", files={"dist/signals.mjs": "signals.mjs"}),
    Package(name="htm", version="3.1.1", licence="Apache-2.0", files={"dist/htm.mjs": "htm.mjs"}),
    Package(
        name="uplot", version="1.6.32", licence="MIT",
        files={"dist/uPlot.iife.min.js": "uplot.mjs", "dist/uPlot.min.css": "uplot.css"},
    ),
    Package(name="marked", version="18.2.1", licence="MIT", files={"lib/marked.esm.js": "marked.mjs"}),
    Package(
        name="axe-core", version="4.14.1", licence="MPL-2.0", files={"axe.min.js": "axe.min.js"}, folder=TESTED,
    ),
)  # fmt: skip


def main() -> int:
    """Write everything anew."""
    records: dict[Path, list[dict[str, str]]] = {}
    licences: dict[Path, list[str]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for package in PACKAGES:
            content = _unpack(package, Path(temporary))
            package.folder.mkdir(parents=True, exist_ok=True)
            title = f"{package.name} {package.version} ({package.licence})"
            licences.setdefault(package.folder, []).append(f"{title}\n\n{(content / 'LICENSE').read_text().strip()}\n")
            for path, name in package.files.items():
                written = _write(package, (content / path).read_text(), name)
                records.setdefault(package.folder, []).append({**written, "source": f"npm:{package.name}/{path}"})
    for folder, entries in records.items():
        (folder / "VENDOR.json").write_text(json.dumps(entries, indent=2) + "\n")
        (folder / "LICENSES.txt").write_text(f"\n{'-' * 80}\n\n".join(licences[folder]))
    return 0


def _unpack(package: Package, folder: Path) -> Path:
    """The package as npm has it, checked by npm against its registry's hash."""
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    target = folder / f"{package.name.replace('/', '-')}-{package.version}.d"
    with tarfile.open(folder / done.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(target, filter="data")
    return target / "package"


def _write(package: Package, text: str, name: str) -> dict[str, str]:
    """One file, and its record."""
    text = _SOURCE_MAP.sub("", text).rstrip() + "\n"
    for bare, relative in _IMPORTS.items():
        text = text.replace(f'from"{bare}"', f'from"{relative}"').replace(f'import"{bare}"', f'import"{relative}"')
    if name == "uplot.mjs":
        text += "export default uPlot;\n"
    origin = f"https://www.npmjs.com/package/{package.name}/v/{package.version}"
    text = f"/*! {package.name} {package.version} | {package.licence} | {origin} */\n{text}"
    (package.folder / name).write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {
        "file": name, "name": package.name, "version": package.version, "licence": package.licence, "sha256": digest,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
