// Colours that programs print for terminals, as classes: `a-f1` is a red letter, `a-b4` a blue ground (style/logs.css has
// them for light and dark). Only colours and emphasis are honoured; every other escape is text, shown as what it is by
// `visible`. Nothing here makes markup, and nothing of one line reaches the next.
import {visible} from "./text.mjs";

/** @typedef {{text: string, names: string, isMatch?: boolean}} Piece */

const COLOURS = /\u001b\[([0-9;:]*)m/g;
const EMPHASIS = ["", "bold", "dim", "italic", "underline", "", "", "inverse", "", "strike"];

/** Without colours, as it is searched and copied. @param {string} text */
export const plain = (text) => (text.includes("\u001b") ? text.replace(COLOURS, "") : text);

/** The text as pieces, each with the names of its classes. @param {string} text @returns {Piece[]} */
export function coloured(text) {
  if (!text.includes("\u001b[")) return [{text: visible(text), names: ""}];
  const pieces = [];
  const pen = {fore: -1, back: -1, emphasis: new Set()};
  let at = 0;
  for (const found of text.matchAll(COLOURS)) {
    if (found.index > at) pieces.push({text: visible(text.slice(at, found.index)), names: namesOf(pen)});
    change(pen, found[1]);
    at = found.index + found[0].length;
  }
  if (at < text.length) pieces.push({text: visible(text.slice(at)), names: namesOf(pen)});
  return pieces.length ? pieces : [{text: "", names: ""}];
}

/** @param {{fore: number, back: number, emphasis: Set<number>}} pen */
function namesOf({fore, back, emphasis}) {
  const names = [...emphasis].map((one) => `a-${EMPHASIS[one]}`);
  if (fore >= 0) names.push(`a-f${fore}`);
  if (back >= 0) names.push(`a-b${back}`);
  return names.join(" ");
}

/** @param {{fore: number, back: number, emphasis: Set<number>}} pen @param {string} codes */
function change(pen, codes) {
  const left = (codes || "0").split(/[;:]/).map(Number);
  while (left.length) {
    const code = left.shift() ?? 0;
    if (code === 0) Object.assign(pen, {fore: -1, back: -1, emphasis: new Set()});
    else if (code < 10 && EMPHASIS[code]) pen.emphasis.add(code);
    else if (code === 22) [1, 2].forEach((one) => pen.emphasis.delete(one));
    else if (code > 22 && code < 30) pen.emphasis.delete(code - 20);
    else if (code >= 30 && code <= 37) pen.fore = code - 30;
    else if (code >= 90 && code <= 97) pen.fore = code - 82;
    else if (code === 39) pen.fore = -1;
    else if (code >= 40 && code <= 47) pen.back = code - 40;
    else if (code >= 100 && code <= 107) pen.back = code - 92;
    else if (code === 49) pen.back = -1;
    else if (code === 38) pen.fore = oneOfMany(left);
    else if (code === 48) pen.back = oneOfMany(left);
  }
}

/** One of 256, or of all, as the nearest of the sixteen. @param {number[]} left what follows; it is taken away */
function oneOfMany(left) {
  const how = left.shift();
  if (how === 2) return nearest(left.splice(0, 3));
  const number = left.shift() ?? 7;
  if (number < 16) return number;
  if (number >= 232) return nearest(Array(3).fill((number - 232) * 10 + 8));
  const cube = number - 16;
  return nearest([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((one) => one * 51));
}

/** @param {number[]} rgb */
function nearest([red = 0, green = 0, blue = 0]) {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most > 190 ? 15 : most > 110 ? 7 : most > 50 ? 8 : 0;
  const middle = (most + least) / 2;
  return (red > middle ? 1 : 0) + (green > middle ? 2 : 0) + (blue > middle ? 4 : 0) + (most > 200 ? 8 : 0);
}

/** The same pieces, cut where `pattern` (with the flag g) matches. @param {Piece[]} pieces @param {RegExp|null} pattern */
export function marked(pieces, pattern) {
  if (!pattern) return pieces;
  const whole = pieces.map((one) => one.text).join("");
  /** @type {[number, number][]} */
  const spans = [];
  for (const found of whole.matchAll(pattern)) {
    if (found[0]) spans.push([found.index, found.index + found[0].length]);
    if (spans.length === 100) break;
  }
  if (!spans.length) return pieces;
  const cut = [];
  let [start, next] = [0, 0];
  for (const piece of pieces) {
    const end = start + piece.text.length;
    let from = start;
    while (from < end) {
      while (next < spans.length && spans[next][1] <= from) next += 1;
      const [begin, stop] = spans[next] ?? [end, end];
      const isMatch = begin <= from;
      const to = Math.min(end, isMatch ? stop : begin);
      cut.push({text: piece.text.slice(from - start, to - start), names: piece.names, isMatch});
      from = to;
    }
    start = end;
  }
  return cut;
}
