"""How serious a log line is, guessed from what it says. Pure; called once for every line that is stored.

A worker prints as it likes: plain words, JSON, logfmt, the loggers of Python, Go, Node, .NET, Rust, syslog's prefix.
The guess is made where such formats put their level - near the front, as a word of its own - so that prose about an
error is not one. Where nothing says it the level is None: unknown is not `info`.
"""

from __future__ import annotations

import re

LEVELS = ("debug", "info", "warning", "error", "critical")
"""From harmless to worst."""

_LOOKED_AT = 160
"""Characters of a line in which a level may stand; in JSON it may stand behind the message."""
_LOOKED_AT_IN_JSON = 4096

_BY_WORD = {
    word: level
    for level, words in {
        "debug": "trace trc finest finer fine silly verbose debug dbg debug1 debug2 d",
        "info": "info inf information informational notice log i",
        "warning": "warn wrn warning w",
        "error": "error err eror severe failure e",
        "critical": "critical crit fatal ftl panic alert emerg emergency f c",
    }.items()
    for word in words.split()
}

_JSON = re.compile(r'"(?:[Ll]evel|LEVEL|[Ss]everity|lvl|levelname|log\.level|log_?level|@l)"\s*:\s*(?:"(\w+)"|(\d+))')
_NUMBERED_JSON = ((60, "critical"), (50, "error"), (40, "warning"), (30, "info"), (0, "debug"))
"""Of pino and bunyan, and ten times Python's numbers but one: 50 is `critical` there, who writes names in JSON."""

_SYSLOG = ("critical", "critical", "critical", "error", "warning", "info", "info", "debug")

_ANY_CASE = "trace|debug|info|notice|warn|warning|error|err|critical|crit|fatal|panic|alert|emerg"

_FRONT = re.compile(
    rf"""
      <(?P<syslog>[0-7])>                                                      # sd-daemon's prefix
    | (?P<glog>[IWEF])\d{{4}}\ \d\d:                                           # glog, klog
    | \[(?P<letter>[DIWECF])\ \d                                               # Tornado
    | (?P<crash>panic:\ |fatal\ error:\ |thread\ '[^']*'\ panicked)            # Go, Rust
    | (?P<word>(?i:{_ANY_CASE}))(?::\s|:?$|\[E\d+\]:)                          # error: ...
    | \[?\d[\d:.,TZ+/\ -]*\]?\ +(?P<after>{_ANY_CASE})(?::|\s\s|\s\[|\t)       # 12:00:01 info  ...
    """,
    re.VERBOSE,
)
_RAISED = re.compile(r"Traceback \(most recent|(?:Uncaught )?[\w.]*(?:Error|Exception)(?: \[\w+\])?: ")
# Each begins with plain letters or one set of characters, which is what the engine finds quickly.
_CAPITAL = re.compile(
    "(?:TRACE|DEBUG|INFO|NOTICE|WARNING|WARN|ERROR|SEVERE|CRITICAL|CRIT|FATAL|PANIC|ALERT|EMERG|TRC|DBG|INF|WRN|ERR|FTL)"
    r"(?![\w=-]|\.\w|/\w)"
)
_BEFORE_NO_WORD = frozenset("_.$/=-")
_BRACKET = re.compile(rf"[\[<(]\s?((?i:{_ANY_CASE}))\s*[\])>]")
_LOGFMT = re.compile(r"""(?:level|lvl|severity)[=:]\s?["']?(\w+)""")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def level_of(text: str) -> str | None:
    """One of LEVELS, or None where the line does not say."""
    if text.startswith("{") and (found := _JSON.search(text, 0, _LOOKED_AT_IN_JSON)):
        word, number = found.groups()
        return _BY_WORD.get(word.casefold()) if word else _of_number(int(number[:4]))
    head = text[:_LOOKED_AT]
    if "\x1b" in head:
        head = _COLOUR.sub("", head)
    if match := _FRONT.match(head):
        return _at_the_front(str(match.lastgroup), match[str(match.lastgroup)])
    if ("Error" in head or "Exc" in head or "Trace" in head) and _RAISED.match(head):
        return "error"
    return _within(head)


def _at_the_front(kind: str, word: str) -> str | None:
    if kind == "syslog":
        return _SYSLOG[int(word)]
    return "critical" if kind == "crash" else _BY_WORD.get(word.casefold())


def _within(head: str) -> str | None:
    if ("level" in head or "lvl" in head or "severity" in head) and (match := _LOGFMT.search(head)):
        level = _BY_WORD.get(match[1].casefold())
        if level is not None:
            return level
    for match in _CAPITAL.finditer(head):
        before = head[match.start() - 1 : match.start()]
        if not (before.isalnum() or before in _BEFORE_NO_WORD):
            return _BY_WORD[match[0].casefold()]
    bracket = _BRACKET.search(head)
    return _BY_WORD[bracket[1].casefold()] if bracket else None


def _of_number(number: int) -> str:
    return next(level for least, level in _NUMBERED_JSON if number >= least)
