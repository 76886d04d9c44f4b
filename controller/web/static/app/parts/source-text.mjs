// The text of a file with the numbers of its lines, each of which is a link to it. Lines of others' documents are quieter;
// what is wrong stands below its line.
import {html, useEffect, useRef} from "../html.mjs";
import {visible} from "../text.mjs";
import {withCode} from "./why.mjs";

/**
 * @param {{text: string, from?: number, to?: number, problems?: any[], marked?: number|null}} props `from` to `to`: what
 * it is about; `marked`: the line of the URL
 */
export function SourceText({text, from = 1, to = Infinity, problems = [], marked = null}) {
  const box = useRef(/** @type {any} */ (null));
  const lines = text.replace(/\n$/, "").split("\n");
  useEffect(() => {
    if (marked) box.current?.querySelector(`#L${marked}`)?.scrollIntoView({block: "center"});
  }, [marked, text]);
  return html`<div class="source" ref=${box} tabindex="0" role="group" aria-label="Text of the file"><ol>${lines.map((line, index) => {
    const number = index + 1;
    const wrong = problems.filter((one) => one.line === number);
    const isOther = number < from || number > to;
    return html`<li key=${number} id=${`L${number}`} class=${`${isOther ? "is-other" : ""} ${number === marked ? "is-marked" : ""} ${wrong.length ? "is-wrong" : ""}`}>
      <a class="source-number" href=${`#L${number}`} aria-label=${`Line ${number}`}>${number}</a><code>${parts(line)}</code>
      ${wrong.map((one, nth) => html`<p key=${nth} class="source-fault">${withCode(visible(one.message))}${one.hint && html`<span class="hint"> ${withCode(visible(one.hint))}</span>`}</p>`)}</li>`;
  })}</ol></div>`;
}

const COMMENT = /(^|\s)#.*$/;

/** A comment is quieter, a key stands out. Only for the eye: a # within quotes may be taken for one. @param {string} line */
function parts(line) {
  const comment = COMMENT.exec(line);
  const isQuoted = comment && (line.slice(0, comment.index).split('"').length % 2 === 0 || line.slice(0, comment.index).split("'").length % 2 === 0);
  const rest = comment && !isQuoted ? line.slice(0, comment.index) : line;
  const key = /^(\s*(?:- )?)([\w.-]+:)(\s|$)/.exec(rest);
  const body = key ? html`${key[1]}<span class="source-key">${visible(key[2])}</span>${visible(rest.slice(key[1].length + key[2].length))}` : visible(rest);
  return html`${body}${comment && !isQuoted ? html`<span class="source-comment">${visible(line.slice(comment.index))}</span>` : ""}${line ? "" : " "}`;
}
