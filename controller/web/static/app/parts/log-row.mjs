// One record of a log as a row: when, whose, what level in a word, and its text as text nodes alone.
import {cls, Component, html} from "../html.mjs";
import {coloured, marked, plain} from "../ansi.mjs";
import {timeOf, timeWidth} from "../log-look.mjs";
import {withQuery} from "../router.mjs";
import {visible} from "../text.mjs";

/** So much of a line is shown in the list; all of it where it is opened. */
export const MOST_SHOWN = 4000;
const WORDS = {debug: "debug", info: "info", warning: "warn", error: "error", critical: "crit"};
const KINDS = {lifecycle: "event", error: "error", task: "task", gap: "gap"};
/** Width of the word, in letters. */
export const MARK = 6;

/**
 * @typedef {object} Look
 * @property {string} times
 * @property {boolean} hasDays
 * @property {string} source "none", "instance" or "worker"
 * @property {number} sourceWidth in letters
 * @property {boolean} showsColours
 * @property {RegExp|null} pattern
 */

/** Drawn anew when something of its own changed. */
export class LogRow extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render() {
    return drawn(this.props);
  }
}

/** @param {{line: import("../log-lines.mjs").Line, look: Look, isChosen: boolean, isCurrent: boolean, minute: number}} props */
function drawn({line, look, isChosen, isCurrent, minute}) {
  const isPrinted = line.kind === "line";
  const mark = isPrinted ? WORDS[line.level] ?? line.level : KINDS[line.kind] ?? line.kind;
  const word = mark || (line.stream === "stderr" ? "stderr" : "");
  const level = line.kind === "error" ? "error" : line.level;
  return html`<div class=${cls("log-row", `k-${line.kind}`, level && `l-${level}`, isChosen && "chosen", isCurrent && "current")} data-id=${line.id}>
    <a class="log-time" href=${withQuery({at: line.id})} aria-label=${look.times === "none" ? "This line" : undefined} title=${`${new Date(line.ms).toISOString()}${line.approximate ? ", about" : ""}`}
      >${look.times === "none" ? "\u203a" : timeOf(line.ms, minute, look.times).padEnd(timeWidth(look.times, look.hasDays))}</a>
    ${look.source !== "none" && html`<span class="log-who">${whose(line, look).padEnd(look.sourceWidth)}</span>`}
    <span class="log-mark">${word.padEnd(MARK)}</span><span class="log-text">${line.kind === "gap" ? html`<span class="log-gap">${visible(line.text)}</span>` : textOf(line, look)}${fieldsOf(line).map(([name, value]) => html`<span key=${name} class="log-field"> ${visible(name)}=${visible(value)}</span>`)}</span>
  </div>`;
}

/** @param {import("../log-lines.mjs").Line} line @param {Look} look */
export function whose(line, look) {
  const name = look.source === "worker" ? line.instance || line.worker : line.instance.slice(line.worker.length);
  return name.length > look.sourceWidth ? `\u2026${name.slice(1 - look.sourceWidth)}` : name;
}

/** @param {import("../log-lines.mjs").Line} line @param {Look} look */
function textOf(line, look) {
  const isLong = line.text.length > MOST_SHOWN;
  const text = isLong ? line.text.slice(0, MOST_SHOWN) : line.text;
  const pieces = look.showsColours ? coloured(text) : [{text: visible(text), names: ""}];
  return html`${marked(pieces, look.pattern).map((one, index) => one.isMatch
    ? html`<mark key=${index} class=${one.names}>${one.text}</mark>`
    : one.names ? html`<span key=${index} class=${one.names}>${one.text}</span>` : one.text)}${isLong && html`<span class="log-rest"> \u2026 ${line.text.length - MOST_SHOWN} more characters</span>`}`;
}

const LEVELS = new Set(["level", "lvl", "severity", "levelname", "@l"]);
const MOST_FIELDS = 12;

/** Of a line of JSON: what stands beside its message; its level has a word already. @param {import("../log-lines.mjs").Line} line @returns {[string, string][]} */
function fieldsOf(line) {
  if (line.kind !== "line" || !line.data || typeof line.data !== "object") return [];
  const fields = Object.entries(line.data).filter(([name]) => !(line.level && LEVELS.has(name))).slice(0, MOST_FIELDS);
  return fields.map(([name, value]) => [name, (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 200)]);
}

/** As it is searched, copied and folded: with its fields. @param {import("../log-lines.mjs").Line} line */
export const written = (line) => plain(line.text) + fieldsOf(line).map(([name, value]) => ` ${name}=${value}`).join("");
