// What names a page of the documentation leads there: `workerctl help TOPIC` and `workerctl explain FIELD`, in the
// controller's own words as in its pages.
import {html} from "../html.mjs";
import {visible} from "../text.mjs";

/** Where a text in backticks leads, or "". @param {string} code */
export function docOf(code) {
  const topic = code.match(/^workerctl help ([a-z]+(?:-[a-z]+)*)$/)?.[1];
  if (topic) return topic === "exit-codes" ? "/docs/cli#exit-codes" : `/docs/${topic}`;
  if (code === "workerctl help") return "/docs";
  const field = code.match(/^workerctl explain(?: ([a-z_.]+))?$/);
  return field ? `/docs/fields${field[1] ? `#${field[1]}` : ""}` : "";
}

/** A text in backticks. @param {{code: string}} props */
export function WithDocs({code}) {
  const to = docOf(code);
  const shown = html`<code>${visible(code)}</code>`;
  return to ? html`<a class="doc-link" href=${to}>${shown}</a>` : shown;
}

/** A text with what stands in backticks as code. @param {string} text @returns {any} */
export const withCode = (text) => text.split("`").map((part, index) => (index % 2 ? html`<${WithDocs} key=${index} code=${part} />` : part));
