"""The surgical editor: one field of one worker in a person's file, and not a byte more.

Called for `start`, `stop` and edits through the API. `set_field` finds the bytes by the marks of the parsed nodes,
proposes the smallest edit, and proves it: the result must parse to exactly what was wanted, in this document and in all
others. What cannot be proved is refused, with what a person can write instead; a file is never serialised anew, because
comments, quoting, order and line ends are the person's.

`write_atomically` puts bytes in place of others that are still there: a reader sees the old file or the new one, whole,
and after a power cut too.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from controller.agent.failpoints import failpoint
from controller.sources.strict_yaml import BOM, STR, Parsed, compose, parse, resolve_plain, without_bom
from controller.sources.syntax import excerpt

Scalar = str | bool | int | None
TEMPORARY_SUFFIX = ".workerctl"
_SAFE_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LINE_END = re.compile(r"\r\n|\n|\r")


class EditRefused(Exception):
    """The edit cannot be made without touching more than it should. The message says what to write instead."""


class Conflict(Exception):
    """The file is not what the caller read. Nothing was written."""


def set_field(content: bytes, worker_id: str, field: str, value: Scalar) -> bytes:
    """The content with the worker's top-level `field` set to `value`. Raises EditRefused."""
    before = parse(content, "the file")
    if before.problems:
        raise EditRefused(f"the file must be corrected first: {before.problems[0]}")
    position = _position(before, worker_id)
    document = before.documents[position]
    if field in document.data and _same(document.data[field], value):
        return content
    text = without_bom(content).decode()
    root = list(compose(text.encode()))[document.index]
    assert isinstance(root, MappingNode)
    wanted = [found.data for found in before.documents]
    wanted[position] = {**document.data, field: value}
    for edited in _edits(text, root, field, value):
        result = (BOM if content.startswith(BOM) else b"") + edited.encode()
        after = parse(result, "the file")
        if not after.problems and _all_same([found.data for found in after.documents], wanted):
            return result
    raise _refused(root, field, value, "it cannot be set without changing more of the file")


def get_field(content: bytes, worker_id: str, field: str) -> object:
    """What the worker's document itself says of a top-level field, None where nothing. Raises EditRefused."""
    parsed = parse(content, "the file")
    if parsed.problems:
        raise EditRefused(f"the file must be corrected first: {parsed.problems[0]}")
    return parsed.documents[_position(parsed, worker_id)].data.get(field)


def _position(parsed: Parsed, worker_id: str) -> int:
    found = [
        position
        for position, document in enumerate(parsed.documents)
        if isinstance(document.data, dict)
        and document.data.get("worker_id") == worker_id
        and document.data.get("kind", "Worker") == "Worker"
    ]
    if len(found) == 1:
        return found[0]
    where = "is not defined in the file" if not found else f"is defined {len(found)} times in the file"
    raise EditRefused(f"worker {excerpt(worker_id)} {where}")


def _refused(root: MappingNode, field: str, value: Scalar, why: str) -> EditRefused:
    line = next((key.start_mark.line for key, _ in root.value if key.value == field), root.start_mark.line) + 1
    return EditRefused(f"line {line}: {why}; write `{field}: {_plain(value)}` there yourself")


def _edits(text: str, root: MappingNode, field: str, value: Scalar) -> Iterator[str]:
    """Possible edits, the most natural one first. Each replaces nothing or one scalar."""
    for key, node in root.value:
        if key.value == field and key.tag == STR:
            yield _with_value_replaced(text, root, (key, node), value)
            return
    entry = f"{field}: {_plain(value)}"
    if root.flow_style:
        last = _leaf_end(*root.value[-1])
        if last is not None:
            yield f"{text[:last]}, {entry}{text[last:]}"
        first = root.value[0][0].start_mark.index
        yield f"{text[:first]}{entry}, {text[first:]}"
        return
    indent = " " * root.value[0][0].start_mark.column
    ends = [_leaf_end(*root.value[-1])]
    ends += [_leaf_end(key, node) for key, node in root.value if key.value == "worker_id"]
    for end in ends:
        if end is not None:
            yield _with_line_after(text, end, indent + entry)


def _with_value_replaced(text: str, root: MappingNode, pair: tuple[Node, Node], value: Scalar) -> str:
    key, node = pair
    field = str(key.value)
    start, end = node.start_mark.index, node.end_mark.index
    if start < key.end_mark.index:
        raise _refused(root, field, value, f"`{field}` is an alias")
    if not isinstance(node, ScalarNode):
        raise _refused(root, field, value, f"`{field}` is a list or mapping")
    if text[start : start + 1] in {"&", "!"}:
        raise _refused(root, field, value, f"`{field}` has an anchor or a tag")
    if node.style in {"|", ">"}:
        raise _refused(root, field, value, f"`{field}` is a block text")
    if start == end:
        colon = text.index(":", key.end_mark.index) + 1
        return f"{text[:colon]} {_plain(value)}{text[colon:]}"
    return text[:start] + _in_style(value, node.style) + text[end:]


def _leaf_end(key: Node, node: Node) -> int | None:
    """Where the text of a pair ends; None where the marks do not tell (an alias).

    A block collection ends with its last item: its own mark lies at whatever comes next.
    """
    if node.start_mark.index < key.end_mark.index and node is not key:
        return None
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _leaf_end(*last) if isinstance(node, MappingNode) else _leaf_end(last, last)
    if isinstance(node, MappingNode | SequenceNode):
        return node.end_mark.index
    return node.end_mark.index if node.end_mark.index > node.start_mark.index else key.end_mark.index


def _with_line_after(text: str, index: int, line: str) -> str:
    """A new line after the one that holds the character before `index`, with that line's own line end."""
    if index > 0 and text[index - 1] in "\r\n":
        # A block text's mark lies behind its last line end.
        return text[:index] + line + _line_end_of(text) + text[index:]
    found = _LINE_END.search(text, index)
    if found is None:
        return text + _line_end_of(text) + line
    return text[: found.end()] + line + found.group() + text[found.end() :]


def _line_end_of(text: str) -> str:
    found = _LINE_END.search(text)
    return found.group() if found is not None else "\n"


def _plain(value: Scalar) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            is_safe = _SAFE_PLAIN.fullmatch(value) is not None and resolve_plain(value) == STR
            return value if is_safe else json.dumps(value, ensure_ascii=False)


def _in_style(value: Scalar, style: str | None) -> str:
    """The value in the quotes that stood there, where a string can have them."""
    if isinstance(value, str) and style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, str) and style == '"':
        return json.dumps(value, ensure_ascii=False)
    return _plain(value)


def _same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from true and 1.0, at any depth, and holds for not-a-number."""
    return repr(one) == repr(other)


def _all_same(found: list[Any], wanted: list[Any]) -> bool:
    return len(found) == len(wanted) and all(
        _same(_sorted(one), _sorted(other)) for one, other in zip(found, wanted, strict=True)
    )


def _sorted(data: Any) -> Any:
    return dict(sorted(data.items())) if isinstance(data, dict) else data


def write_atomically(path: str, content: bytes, expected: bytes) -> None:
    """Replaces the file at `path`, which must hold `expected`, by `content`. Links are followed and stay links.

    Raises Conflict when the file holds something else or another writer is at work, OSError when it cannot be
    written. The file keeps its mode, and its owner where we may give files away.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    failpoint("sources.before_write")
    temporary = os.path.join(folder, f".{name}{TEMPORARY_SUFFIX}")
    descriptor = _open_temporary(temporary, path)
    try:
        _fill(descriptor, target, content)
        failpoint("sources.after_fsync")
        _check_unchanged(target, expected)
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)  # and with it the lock: until here nobody else touches the temporary file
    failpoint("sources.after_rename")
    _sync_folder(folder)


def _fill(descriptor: int, target: str, content: bytes) -> None:
    try:
        status = os.stat(target)
    except FileNotFoundError:
        raise Conflict(f"{target} is gone") from None
    with suppress(PermissionError):
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    failpoint("sources.after_temp")
    os.fsync(descriptor)


def _check_unchanged(target: str, expected: bytes) -> None:
    try:
        with open(target, "rb") as file:
            found = file.read(len(expected) + 1)
    except FileNotFoundError:
        raise Conflict(f"{target} is gone") from None
    if found != expected:
        raise Conflict(f"{target} was changed since it was read")


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open_temporary(temporary: str, path: str) -> int:
    """The temporary file, locked and empty. One name per target: what a killed writer left is used again."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = os.path.samestat(os.fstat(descriptor), os.stat(temporary, follow_symlinks=False))
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:  # locked by another writer, or just renamed by it
        os.close(descriptor)
        raise Conflict(f"{path} is being written by another process")
    os.ftruncate(descriptor, 0)
    return descriptor
