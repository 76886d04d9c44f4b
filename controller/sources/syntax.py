"""Words for files that are no YAML: bytes that are no text, and syntax errors of the C parser.

Called by strict_yaml.py. The parser's own messages speak of tokens and contexts; a person needs the place and what to
write instead. Nothing here echoes more than a few characters of a file: a specs directory may hold a link to a file
that its reader must not see.
"""

from __future__ import annotations

import re

import yaml

from controller.core.problems import Problem

MAX_ECHO = 60

# YAML 1.1 parsers, ours included, end a line at NEL, LS and PS, where editors and YAML 1.2 do not: such a character
# could hide a second key in what looks like one line.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_CONFLICT = re.compile(r"^<{7} ", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")


def excerpt(text: str) -> str:
    """At most 60 characters on one line, printable."""
    flat = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:MAX_ECHO])
    return flat if len(text) <= MAX_ECHO and len(flat) <= MAX_ECHO else flat[: MAX_ECHO - 3] + "..."


def place_of(text: str, index: int) -> tuple[int, int]:
    """(line, column), both from 1, of a character's index."""
    line, start = 1, 0
    for end in _LINE_END.finditer(text, 0, index):
        line, start = line + 1, end.end()
    return line, index - start + 1


def decode_problem(body: bytes, file: str) -> Problem | None:
    """What keeps these bytes from being a YAML text at all, or None."""
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(
            file=file, line=1, column=1, message="the file is UTF-16", hint="save it as UTF-8", code="encoding"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode()
        line, column = place_of(before, len(before))
        message = f"byte 0x{body[error.start]:02x} is not UTF-8"
        return Problem(file=file, line=line, column=column, message=message, hint="save it as UTF-8", code="encoding")
    found = _FORBIDDEN.search(text)
    if found is not None:
        return _forbidden_problem(text, found.start(), file)
    found = _CONFLICT.search(text)
    if found is not None:
        line, _ = place_of(text, found.start())
        hint = "resolve the conflict: keep one side and remove the <<<<<<<, ======= and >>>>>>> lines"
        return Problem(file=file, line=line, column=1, message="unresolved merge conflict", hint=hint, code="conflict")
    return None


def _forbidden_problem(text: str, index: int, file: str) -> Problem:
    line, column = place_of(text, index)
    char = text[index]
    if char == "\x00":
        message, hint = "the file contains a NUL byte", "save it as UTF-8 text"
    else:
        message = f"the character U+{ord(char):04X} is not allowed"
        escape = f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
        hint = f'write it as "{escape}" in double quotes'
    return Problem(file=file, line=line, column=column, message=message, hint=hint, code="encoding")


# What the parser says, its problem or its context: (message, hint, whether the context's place is the better one).
_WORDS: dict[str, tuple[str, str, bool]] = {
    "mapping values are not allowed in this context": (
        "a second `: ` in one line, or a line that is indented too far",
        "quote a value that contains `: `, or align the line with the others",
        False,
    ),
    "could not find expected ':'": ("expected `key: value`, got a line without a colon", "add the colon", True),
    "while scanning a quoted scalar": ("this quoted text never ends", "add the closing quote", True),
    "while parsing a flow sequence": ("this list never ends, or lacks a comma", "check its commas and its `]`", True),
    "while parsing a flow mapping": ("this mapping never ends, or lacks a comma", "check its commas and its `}`", True),
    "while parsing a block mapping": (
        "this line fits no mapping: its indentation or a value before it is wrong",
        "keys of one mapping start in the same column",
        False,
    ),
    "while parsing a block collection": (
        "this line fits no list: its indentation or an item before it is wrong",
        "items of one list start with `- ` in the same column",
        False,
    ),
    "block sequence entries are not allowed in this context": (
        "a list cannot start here",
        "put its first `- ` on a line of its own, under the key",
        False,
    ),
    "did not find expected node content": (
        "expected a value here: a bracket before it is not closed, or stands where none belongs",
        "check the brackets, or quote the value",
        False,
    ),
    "found undefined alias": ("this alias has no anchor before it in the document", "check its name", False),
    "did not find expected <document start>": (
        "the document ends before this line",
        "check the indentation, or separate documents with `---`",
        False,
    ),
    "found unknown escape character": (
        "an unknown escape in double quotes",
        "write `\\\\` for a backslash, or use single quotes",
        False,
    ),
    "did not find expected alphabetic or numeric character": (
        "`*` and `&` cannot start a plain value",
        "quote the value",
        True,
    ),
    "second occurrence": ("this anchor's name is taken", "give each anchor of a document a name of its own", False),
    "found incompatible YAML document": ("this version of YAML is not supported", "remove the %YAML line", False),
    "found undefined tag handle": (
        "this tag is not supported",
        "leave it out, or quote a value that starts with `!`",
        False,
    ),
}


def syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """A syntax error in a person's words, at the most telling place."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(file=file, message=f"no valid YAML: {excerpt(str(error))}", code="syntax")
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    message, hint, at_context = _WORDS.get(problem) or _WORDS.get(context) or ("", "", False)
    if at_context and error.context_mark is not None:
        mark = error.context_mark
    if problem == "found character that cannot start any token" and mark is not None:
        message, hint = _bad_start(text, mark.index)
    if not message:
        message = f"no valid YAML: {excerpt(problem)}"
    if mark is None:
        return Problem(file=file, message=message, hint=hint, code="syntax")
    return Problem(file=file, line=mark.line + 1, column=mark.column + 1, message=message, hint=hint, code="syntax")


def _bad_start(text: str, index: int) -> tuple[str, str]:
    char = text[index] if index < len(text) else ""
    if char == "\t":
        return "a tab cannot indent", "indent with spaces"
    return f"a plain value cannot start with `{excerpt(char)}`", "quote the value"
