"""Specs for the fake API server: created, replaced, patched, deleted and tried, with etags, as the real one answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Item = dict[str, Any]
_PATH = ["api", "v1", "worker-configs"]


@dataclass(kw_only=True)
class FakeSpecs:
    """What each file says. `faults`: a write that holds such a field is refused with the fault."""

    files: dict[str, Item] = field(default_factory=dict)
    faults: dict[str, Item] = field(default_factory=dict)
    holds: list[Item] = field(default_factory=list)
    written: list[tuple[str, str]] = field(default_factory=list)
    versions: dict[str, int] = field(default_factory=dict)

    def etag(self, name: str) -> str:
        return f'"{name}-{self.versions.get(name, 0)}"'

    def edit(self, name: str, **fields: Any) -> None:
        """Somebody edits the file."""
        self.files[name] = {**self.files[name], **fields}
        self.versions[name] = self.versions.get(name, 0) + 1

    def item(self, name: str) -> Item:
        spec = {"worker_id": name, "replicas": 1, "env": {}, **self.files[name]}
        return {
            "worker_id": name, "spec": spec, "explicit": sorted({"worker_id", *self.files[name]}), "revision": "1-aa",
            "source": {"file": f"{name}.yaml", "line": 1, "commit": None}, "valid": True, "problems": [],
        }  # fmt: skip

    def answer(
        self, method: str, path: list[str], body: Item | None, query: Mapping[str, str], if_match: str | None
    ) -> tuple[int, Any, str] | None:
        """Status, document and etag; None where the path is none of ours."""
        if path[:3] != _PATH or len(path) > 4:
            return None
        name = path[3] if len(path) == 4 else (body or {}).get("worker_id", "")
        if method == "GET":
            return (200, self.item(name), self.etag(name)) if name in self.files else self._unknown(name)
        return self._write(method, name, dict(body or {}), "dry_run" in query, if_match)

    def _write(self, method: str, name: str, body: Item, is_dry: bool, if_match: str | None) -> tuple[int, Any, str]:
        before = self.files.get(name)
        body.pop("worker_id", None)
        if method == "POST" and before is not None:
            detail = f"{name} stands in {name}.yaml:1 already"
            hint = {"message": detail, "hint": f"`workerctl edit {name}` changes it"}
            return 409, _problem(409, detail, "exists", [hint]), ""
        if method != "POST" and before is None:
            return self._unknown(name)
        if method == "PUT" and if_match is None:
            return 428, _problem(428, "PUT needs If-Match", "precondition_required"), ""
        if if_match is not None and if_match != self.etag(name):
            return 412, _problem(412, "the file was changed since; read it again", "stale"), self.etag(name)
        faults = [fault for key, fault in self.faults.items() if key in body]
        if faults:
            return 422, _problem(422, "this is no valid spec; nothing was written", "invalid_spec", faults), ""
        after = None if method == "DELETE" else _merged(before or {}, body) if method == "PATCH" else body
        is_changed = after != before
        if is_dry:
            plan = {"actions": self._actions(name, before, after), "holds": self.holds, "next_wake": None}
            config = None if after is None else self._as(name, after)
            return 200, {"changed": is_changed, "config": config, "plan": plan}, self.etag(name)
        if is_changed:
            self.written.append((method, name))
            self.versions[name] = self.versions.get(name, 0) + 1
        if after is None:
            del self.files[name]
            return 204, None, ""
        self.files[name] = after
        return 201 if method == "POST" else 200, self.item(name), self.etag(name)

    def _as(self, name: str, after: Item) -> Item:
        return FakeSpecs(files={name: after}).item(name)

    def _actions(self, name: str, before: Item | None, after: Item | None) -> list[Item]:
        if before == after:
            return []
        kind = "create" if before is None else "remove" if after is None else "replace"
        return [{"worker_id": name, "instance": f"{name}/0", "action": kind, "cause": f"{kind} wanted", "fields": []}]

    def _unknown(self, name: str) -> tuple[int, Any, str]:
        return 404, _problem(404, f"there is no spec of {name}", "unknown_worker"), ""


def _merged(target: Item, patch: Item) -> Item:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result[key] if isinstance(result.get(key), dict) else {}, value)
        else:
            result[key] = value
    return result


def _problem(status: int, detail: str, code: str, errors: list[Item] | None = None) -> Item:
    return {
        "type": f"urn:workerctl:problem:{code}", "title": "Title", "status": status, "detail": detail,
        "instance": "/", "code": code, "errors": errors or [], "request_id": "r-1",
    }  # fmt: skip
