// Two versions beside each other, or rather under each other: texts line by line, and maps field by field. Used by the
// editor of specs (what they changed, what I changed) and by a worker's history.
//
//   <Diff before=${text} after=${text} label="Changes of web.yaml" names=${["Yours", "Theirs"]} />
//   <FieldDiff before=${map} after=${map} label="What changed" names=${["Before", "Now"]} />
//   lineDiff(before, after), fieldDiff(before, after): the same as data, for who draws it otherwise
//
// A line says in words and with a sign what became of it, never by colour alone. What is the same far from a change is
// folded, and opened by a button. Pure but for the components; texts of strangers go through `visible`.
import {html, useMemo, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {visible} from "../text.mjs";

/**
 * @typedef {object} Line
 * @property {"same"|"gone"|"new"} kind
 * @property {string} text
 * @property {number|null} before its number there
 * @property {number|null} after
 * @property {[string, boolean][]} [parts] of a line that was changed: pieces, and whether each is what differs
 */

/** So many pairs are compared at most; beyond, the middle counts as replaced. */
const MOST = 4_000_000;
/** A line that has less than this in common with the other is another line. */
const ALIKE = 0.4;
/** It is looked for among so many. */
const NEAR = 20;

/** @param {string} before @param {string} after @returns {Line[]} */
export function lineDiff(before, after) {
  const [old, now] = [linesOf(before), linesOf(after)];
  /** @type {Line[]} */
  const found = [];
  let [left, right] = [0, 0];
  for (const kind of steps(old, now)) {
    if (kind === "same") found.push({kind, text: old[left], before: ++left, after: ++right});
    else if (kind === "gone") found.push({kind, text: old[left], before: ++left, after: null});
    else found.push({kind, text: now[right], before: null, after: ++right});
  }
  return withWords(found);
}

/** @param {string} text */
function linesOf(text) {
  const lines = text.split(/\r\n|\n|\r/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** What becomes of the items, in order; what is gone before what is new. @param {string[]} old @param {string[]} now @returns {("same"|"gone"|"new")[]} */
function steps(old, now) {
  let [start, end] = [0, 0];
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  while (end < old.length - start && end < now.length - start && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  const [a, b] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const same = (/** @type {number} */ times) => Array(times).fill("same");
  if (a.length * b.length > MOST) return [...same(start), ...Array(a.length).fill("gone"), ...Array(b.length).fill("new"), ...same(end)];
  return [...same(start), ...middle(a, b), ...same(end)];
}

/** By the longest common sequence. @param {string[]} a @param {string[]} b @returns {("same"|"gone"|"new")[]} */
function middle(a, b) {
  const width = b.length + 1;
  const best = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i * width + j] = a[i] === b[j] ? best[(i + 1) * width + j + 1] + 1 : Math.max(best[(i + 1) * width + j], best[i * width + j + 1]);
    }
  }
  /** @type {("same"|"gone"|"new")[]} */
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push("same");
      [i, j] = [i + 1, j + 1];
    } else if (i < a.length && (j === b.length || best[(i + 1) * width + j] >= best[i * width + j + 1])) {
      found.push("gone");
      i += 1;
    } else {
      found.push("new");
      j += 1;
    }
  }
  return found;
}

/** Of the lines of one change, each tells its words beside the first one that is like it. @param {Line[]} lines @returns {Line[]} */
function withWords(lines) {
  let at = 0;
  while (at < lines.length) {
    if (lines[at].kind === "same") {
      at += 1;
      continue;
    }
    let end = at;
    while (end < lines.length && lines[end].kind !== "same") end += 1;
    const gone = lines.slice(at, end).filter((one) => one.kind === "gone");
    const fresh = lines.slice(at, end).filter((one) => one.kind === "new");
    lines.splice(at, end - at, ...gone, ...fresh);
    let next = 0;
    for (const one of gone) {
      const found = fresh.findIndex((other, index) => index >= next && index < next + NEAR && tellWords(one, other));
      if (found >= 0) next = found + 1;
    }
    at = end;
  }
  return lines;
}

/** Whether they are alike, and so tell what differs. @param {Line} gone @param {Line} fresh */
function tellWords(gone, fresh) {
  const [old, now] = [wordsOf(gone.text), wordsOf(fresh.text)];
  const how = steps(old, now);
  const [a, b] = [old.values(), now.values()];
  /** @type {[string, boolean][]} */
  const [was, is] = [[], []];
  for (const kind of how) {
    if (kind !== "new") add(was, a.next().value, kind === "gone");
    if (kind !== "gone") add(is, b.next().value, kind === "new");
  }
  const shared = was.filter((one) => !one[1]).reduce((sum, one) => sum + one[0].trim().length, 0);
  if (shared < ALIKE * Math.min(gone.text.trim().length, fresh.text.trim().length)) return false;
  [gone.parts, fresh.parts] = [was, is];
  return true;
}

/** @param {[string, boolean][]} parts @param {string} text @param {boolean} isChanged */
function add(parts, text, isChanged) {
  const last = parts.at(-1);
  if (last && last[1] === isChanged) last[0] += text;
  else parts.push([text, isChanged]);
}

/** @param {string} text */
const wordsOf = (text) => text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];

/** @typedef {{path: string, kind: "same"|"gone"|"new"|"changed", before: any, after: any}} Field */

/** All fields of two maps, nested ones by their path with dots; a list is one value. @param {any} before @param {any} after @returns {Field[]} */
export function fieldDiff(before, after) {
  const [old, now] = [leaves(before), leaves(after)];
  return [...new Set([...old.keys(), ...now.keys()])].map((path) => {
    const [was, is] = [old.get(path), now.get(path)];
    const kind = !old.has(path) ? "new" : !now.has(path) ? "gone" : JSON.stringify(was) === JSON.stringify(is) ? "same" : "changed";
    return {path, kind, before: was, after: is};
  });
}

/** The values of a map by their path. @param {any} map @param {string} [above] @param {Map<string, any>} [found] */
export function leaves(map, above = "", found = new Map()) {
  for (const [key, value] of Object.entries(map ?? {})) {
    const path = above ? `${above}.${key}` : key;
    if (value !== null && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) leaves(value, path, found);
    else found.set(path, value);
  }
  return found;
}

const SIGNS = {same: ["", " "], gone: ["removed", "\u2212"], new: ["added", "+"]};

/**
 * @param {{before: string, after: string, label: string, names?: [string, string], around?: number}} props
 * `around`: so many unchanged lines stay on each side of a change
 */
export function Diff({before, after, label, names = ["Before", "After"], around = 3}) {
  const lines = useMemo(() => lineDiff(before, after), [before, after]);
  const [opened, open] = useState(/** @type {number[]} */ ([]));
  const gone = lines.filter((one) => one.kind === "gone").length;
  const fresh = lines.filter((one) => one.kind === "new").length;
  if (gone + fresh === 0) return html`<p class="diff-same muted">Not a line differs.</p>`;
  return html`<figure class="diff">
    <figcaption><span>${names[0]} \u2192 ${names[1]}</span><span class="diff-count"><span class="diff-new">+${fresh}</span>${" "}<span class="diff-gone">\u2212${gone}</span>
      <span class="unseen">${plural(fresh, "line")} added, ${plural(gone, "line")} removed</span></span></figcaption>
    <div class="diff-box" tabindex="0" role="group" aria-label=${label}>
      <table class="diff-lines"><thead class="unseen"><tr><th>Line before</th><th>Line after</th><th>Change</th><th>Text</th></tr></thead>
        ${hunks(lines, around).map((hunk) => html`<tbody key=${hunk.at}>${hunk.isFolded && !opened.includes(hunk.at)
          ? html`<tr class="diff-fold"><td colspan="4"><button type="button" onClick=${() => open([...opened, hunk.at])}>${plural(hunk.lines.length, "line")} unchanged</button></td></tr>`
          : hunk.lines.map((line) => html`<${LineRow} key=${`${line.before}:${line.after}`} line=${line} />`)}</tbody>`)}
      </table></div>
  </figure>`;
}

/** Runs of lines: near a change they are shown, far from one folded. @param {Line[]} lines @param {number} around */
function hunks(lines, around) {
  const near = lines.map(() => false);
  lines.forEach((line, index) => {
    if (line.kind !== "same") near.fill(true, Math.max(0, index - around), index + around + 1);
  });
  /** @type {{at: number, isFolded: boolean, lines: Line[]}[]} */
  const found = [];
  lines.forEach((line, index) => {
    const last = found.at(-1);
    if (last && last.isFolded === !near[index]) last.lines.push(line);
    else found.push({at: index, isFolded: !near[index], lines: [line]});
  });
  return found.map((one) => (one.lines.length === 1 ? {...one, isFolded: false} : one));
}

/** @param {{line: Line}} props */
function LineRow({line}) {
  const [word, sign] = SIGNS[line.kind];
  const mark = line.kind === "gone" ? "del" : "ins";
  return html`<tr class=${`diff-${line.kind}`}>
    <td class="diff-number">${line.before}</td><td class="diff-number">${line.after}</td>
    <td class="diff-sign">${word && html`<span class="unseen">${word}</span>`}<span aria-hidden="true">${sign}</span></td>
    <td class="diff-text">${line.parts ? line.parts.map(([text, isChanged]) => (isChanged ? html`<${mark}>${visible(text)}<//>` : visible(text))) : visible(line.text) || " "}</td>
  </tr>`;
}

/**
 * Fields that differ, as a table. @param {{before: any, after: any, label: string, names?: [string, string], all?: boolean}} props
 * `all`: those that are the same, too
 */
export function FieldDiff({before, after, label, names = ["Before", "After"], all = false}) {
  const fields = fieldDiff(before, after).filter((one) => all || one.kind !== "same");
  if (fields.length === 0) return html`<p class="diff-same muted">No field differs.</p>`;
  return html`<div class="diff-box"><table class="diff-fields" aria-label=${label}>
    <thead><tr><th scope="col">Field</th><th scope="col">${names[0]}</th><th scope="col">${names[1]}</th></tr></thead>
    <tbody>${fields.map((one) => html`<tr key=${one.path} class=${`diff-${one.kind}`}>
      <th scope="row"><code>${visible(one.path)}</code></th>
      <td>${one.kind === "new" ? html`<span class="muted">not set</span>` : html`<${FieldValue} value=${one.before} tag=${one.kind === "same" ? "span" : "del"} />`}</td>
      <td>${one.kind === "gone" ? html`<span class="muted">not set</span>` : html`<${FieldValue} value=${one.after} tag=${one.kind === "same" ? "span" : "ins"} />`}</td>
    </tr>`)}</tbody></table></div>`;
}

/** @param {{value: any, tag?: string}} props */
export function FieldValue({value, tag = "span"}) {
  const text = typeof value === "string" && value !== "" ? value : JSON.stringify(value);
  return html`<${tag} class="diff-value">${visible(text)}<//>`;
}
