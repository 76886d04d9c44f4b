"""The smallest cuts that turn a YAML document into one that says something else.

Called by editor.py, which proves the result and refuses what it cannot prove: this file may therefore be simple where
YAML is not. Pure: text in, text out.

Theory of operation: the spans of the document (spans.py) and its data are walked side by side with what is wanted.
Where both have a mapping or a list, only what differs below is touched; a value that stays keeps its quotes, comments
and place. A new key comes behind the last one of its mapping; an entry that goes takes its own lines and the comment
on them along. All cuts are made on the text as it was, and applied from its end to its beginning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from controller.sources import spelling
from controller.sources.spans import Span, dash_before, dashes
from controller.sources.spelling import Speller

_LINE_END = re.compile(r"\r\n|\n|\r")
_COMMENT = re.compile(r"#[^\r\n]*")
_MARKS = re.compile(r"(?:[&!][^\s,\[\]{}]*\s+)+")


class EditRefused(Exception):
    """The edit cannot be made without touching more than it should. The message says what to write instead."""


def proposals(text: str, root: Span, have: Mapping[str, Any], want: Mapping[str, Any]) -> Iterator[str]:
    """Texts in which the document at `root`, which says `have`, should say `want`: to be proved, the nicest one first.

    Raises EditRefused.
    """
    if root.kind != "mapping":
        raise EditRefused("the document is no mapping")
    # A comment that follows would become part of a block text; one at the end of a file has no line end to lose.
    for block_texts, at_end in ((True, True), (False, True), (False, False)):
        speller = Speller(line_end=line_end_of(text), block_texts=block_texts)
        surgeon = _Surgeon(text=text, speller=speller, at_end=at_end, dashes=dashes(text))
        surgeon.change(_Place(mark=root.start, column=-spelling.STEP, in_flow=root.is_flow), root, have, want)
        yield surgeon.result()


def line_end_of(text: str) -> str:
    """The line end of the first line."""
    found = _LINE_END.search(text)
    return found.group() if found is not None else "\n"


def same(one: object, other: object) -> bool:
    """Equality of data that tells 1 from true and 1.0, whatever the order of keys."""
    return _canonical(one) == _canonical(other)


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a value belongs: `mark` is behind its colon or dash, which begins its entry at `column`."""

    mark: int
    column: int
    in_flow: bool
    is_item: bool = False


@dataclass(slots=True, kw_only=True)
class _Surgeon:
    """One operation. `cuts`: (from, to, what stands there then), in the order in which they were found.

    `at_end`: new keys come behind the last one, else behind the first.
    """

    text: str
    speller: Speller
    at_end: bool
    dashes: list[int]
    cuts: list[tuple[int, int, str]] = field(default_factory=list)

    def result(self) -> str:
        text = self.text
        backwards = self.cuts[::-1]  # so that two at one place come out in the order in which they were found
        backwards.sort(key=lambda cut: cut[:2], reverse=True)
        for start, end, new in backwards:
            text = text[:start] + new + text[end:]
        return text

    def change(self, place: _Place, span: Span, have: Any, want: Any) -> None:
        """Have the value at `place` say `want`."""
        if same(have, want):
            return
        if span.kind == "mapping" and isinstance(want, dict) and want and isinstance(have, dict):
            self._change_mapping(place, span, have, want)
        elif span.kind == "sequence" and isinstance(want, list) and want and have:
            self._change_sequence(place, span, have, want)
        else:
            self._replace(place, span, want)

    # --- mappings ---

    def _change_mapping(self, place: _Place, span: Span, have: Mapping[str, Any], want: Mapping[str, Any]) -> None:
        own = {key.text for key, _ in span.pairs}
        for key in have:
            if key not in want and key not in own:
                raise EditRefused(f"`{key}` comes with an alias (`<<`) and cannot be left out here")
        staying = [pair for pair in span.pairs if pair[0].text in want or pair[0].text == "<<"]
        if not staying:
            self._replace(place, span, want)
            return
        gone: list[int] = []
        for number, (name, below) in enumerate(span.pairs):
            if name.text in want:
                in_flow = place.in_flow or span.is_flow
                inside = _Place(mark=self._colon(name), column=span.column, in_flow=in_flow)
                self.change(inside, below, have.get(name.text), want[name.text])
            elif name.text != "<<":
                gone.append(number)
        self._cut_pairs(span, gone)
        added = {
            key: value for key, value in want.items() if key not in own and not (key in have and same(have[key], value))
        }
        if added:
            self._add_pairs(span, staying[-1 if self.at_end else 0], added)

    def _colon(self, key: Span) -> int:
        found = self.text.find(":", key.end)
        return found + 1 if found >= 0 else key.end

    def _cut_pairs(self, span: Span, gone: Sequence[int]) -> None:
        places = [(key.start, self._pair_end(key, value)) for key, value in span.pairs]
        self._cut_parts(places, gone, in_flow=span.is_flow)

    def _pair_end(self, key: Span, value: Span) -> int:
        """An empty value has no end of its own."""
        return self._colon(key) if value.is_empty else max(key.end, value.end)

    def _add_pairs(self, span: Span, last: tuple[Span, Span], added: Mapping[str, Any]) -> None:
        end = self._pair_end(*last)
        if not span.is_flow:
            self._insert_line(end, self.speller.block(added, span.column))
        elif span.pairs[0][0].style == '"':
            self.cuts.append((end, end, ", " + spelling.json_text(added)[1:-1]))
        else:
            self.cuts.append((end, end, ", " + spelling.flow(added)[1:-1]))

    # --- sequences ---

    def _change_sequence(self, place: _Place, span: Span, have: Sequence[Any], want: Sequence[Any]) -> None:
        before, after = [_canonical(one) for one in have], [_canonical(one) for one in want]
        gone: list[int] = []
        for _, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            common = min(i2 - i1, j2 - j1)
            for number in range(common):
                self._change_item(place, span, i1 + number, have[i1 + number], want[j1 + number])
            gone += range(i1 + common, i2)
            if j1 + common < j2:
                self._add_items(span, i1 + common, want[j1 + common : j2])
        places = [(one.start if span.is_flow else self._dash(one), self._item_end(one)) for one in span.items]
        self._cut_parts(places, gone, in_flow=span.is_flow)

    def _change_item(self, place: _Place, span: Span, number: int, have: Any, want: Any) -> None:
        item = span.items[number]
        in_flow = place.in_flow or span.is_flow
        if span.is_flow:
            below = _Place(mark=item.start, column=span.column, in_flow=True, is_item=True)
        else:
            below = _Place(mark=self._dash(item) + 1, column=span.column, in_flow=in_flow, is_item=True)
        self.change(below, item, have, want)

    def _dash(self, item: Span) -> int:
        return dash_before(self.dashes, item.start)

    def _item_end(self, item: Span) -> int:
        return self._dash(item) + 1 if item.is_empty else item.end

    def _add_items(self, span: Span, number: int, added: Sequence[Any]) -> None:
        """New items before the item of that number, or behind the last one."""
        if span.is_flow:
            words = ", ".join(spelling.flow(one) for one in added)
            if number:
                end = span.items[number - 1].end
                self.cuts.append((end, end, ", " + words))
            else:
                start = span.items[0].start
                self.cuts.append((start, start, words + ", "))
            return
        lines = self.speller.block(added, span.column)
        if number:
            self._insert_line(self._item_end(span.items[number - 1]), lines)
        else:
            start = self._dash(span.items[0])
            self.cuts.append((start, start, lines.lstrip(" ") + self.speller.line_end + " " * span.column))

    # --- values ---

    def _replace(self, place: _Place, span: Span, want: Any) -> None:
        """Write another value where one stands."""
        text = self._spelled(place, span, want)
        start = span.start
        if span.is_marked and span.kind == "scalar" and (marks := _MARKS.match(self.text, start)):
            start = min(marks.end(), span.end)  # The anchor or tag stays.
        header, line_end, body = text.partition(self.speller.line_end)
        is_below = _LINE_END.search(self.text, place.mark, max(start, place.mark)) is not None
        if span.is_empty:
            end = self._line_end(place.mark)
            self.cuts.append((place.mark, place.mark, header))
            if body:
                self.cuts.append((end, end, line_end + body))
        elif is_below:
            begin, end = self._line_start(span.start), span.end
            self.cuts.append((place.mark, place.mark, header))
            if body:
                self.cuts.append((begin, end, body))
            else:
                self._cut_lines(begin, end)
        elif not body:
            self.cuts.append((start, span.end, header.lstrip(" ")))
        elif (span.is_collection and not span.is_flow) or not self._has_comment(span.end):
            self.cuts.append((place.mark, span.end, text))
        else:  # A comment follows: it stays on the line of the key.
            end = self._line_end(span.end)
            self.cuts += [(place.mark, span.end, header), (end, end, line_end + body)]

    def _spelled(self, place: _Place, span: Span, want: Any) -> str:
        if span.kind == "scalar" and isinstance(want, str) and span.style in ("'", '"') and "\n" not in want:
            return " " + spelling.scalar(want, span.style)
        if place.in_flow:
            return " " + spelling.flow(want)
        if place.is_item:
            return self.speller.item(want, place.column)
        return self.speller.after(want, place.column)

    # --- lines ---

    def _line_start(self, index: int) -> int:
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def _line_end(self, index: int) -> int:
        """Where the line of a character ends, before its line end."""
        found = _LINE_END.search(self.text, index)
        return found.start() if found is not None else len(self.text)

    def _has_comment(self, index: int) -> bool:
        return bool(self.text[index : self._line_end(index)].strip())

    def _insert_line(self, index: int, lines: str) -> None:
        """New lines behind the line that holds the character before `index`."""
        if index > 0 and self.text[index - 1] in "\r\n":  # A block text that keeps its last line ends.
            self.cuts.append((index, index, lines + self.speller.line_end))
            return
        found = _LINE_END.search(self.text, index)
        if found is None:
            self.cuts.append((len(self.text), len(self.text), self.speller.line_end + lines))
        else:
            self.cuts.append((found.end(), found.end(), lines + found.group()))

    def _cut_lines(self, start: int, end: int) -> None:
        """Cut what stands there, with its lines. Behind a dash, the dash stays for what comes next."""
        begin = self._line_start(start)
        found = _LINE_END.search(self.text, end) if end == start or self.text[end - 1] not in "\r\n" else None
        stop = end if found is None else found.end()
        if found is None and self.text[end - 1] not in "\r\n":
            stop = len(self.text)
        if self.text[begin:start].strip():
            begin = len(self.text[:start].rstrip(" "))
            stop = found.start() if found is not None else stop
        self.cuts.append((begin, stop, ""))

    def _cut_parts(self, parts: Sequence[tuple[int, int]], gone: Sequence[int], *, in_flow: bool) -> None:
        """Cut some parts of a collection, not all. Between brackets each takes along a comma, but no comment."""
        last_to_stay = max(number for number in range(len(parts)) if number not in gone)
        for number in gone:
            start, end = parts[number]
            if not in_flow:
                self._cut_lines(start, end)
            elif number < last_to_stay:
                following = parts[number + 1][0]
                stop = self._comma(end, following) + 1 if "#" in self.text[end:following] else following
                self.cuts.append((start, stop, ""))
            else:
                before = parts[number - 1][1]
                if "#" in self.text[before:start]:
                    comma = self._comma(before, start)
                    self.cuts.append((comma, comma + 1, ""))
                    before = start
                self.cuts.append((before, end, ""))

    def _comma(self, start: int, stop: int) -> int:
        """The comma between two parts, which is none of a comment."""
        return start + _COMMENT.sub(lambda found: " " * len(found.group()), self.text[start:stop]).index(",")
