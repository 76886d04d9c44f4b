// Markdown as nodes. The lexer of `marked` (fetched with the first page that is read) cuts the text into tokens; here each
// becomes an element. No string becomes markup: HTML within a text is shown as the text that it is.
import {html, useEffect, useState} from "./html.mjs";
import {visible} from "./text.mjs";
import {CodeBlock} from "./parts/code.mjs";
import {WithDocs} from "./parts/doc-link.mjs";

/** @type {any} */
let loading;

/** The lexer, once it is here. */
export function useLexer() {
  const [lexer, setLexer] = useState(/** @type {any} */ (null));
  useEffect(() => {
    loading ??= import("../vendor/marked.mjs");
    let isWanted = true;
    loading.then((/** @type {any} */ module) => isWanted && setLexer(() => module.lexer));
    return () => {
      isWanted = false;
    };
  }, []);
  return lexer;
}

/**
 * A page without its first heading, which the screen shows. `anchors`: of its other headings, in their order.
 * @param {{tokens: any[], anchors: string[]}} props
 */
export function Markdown({tokens, anchors}) {
  let number = -1;
  const first = tokens.findIndex((one) => one.type === "heading");
  const anchorOf = new Map(tokens.filter((one) => one.type === "heading").map((one) => [one, anchors[number++]]));
  return html`<div class="prose">${tokens.map((token, index) => index !== first && block(token, index, anchorOf.get(token)))}</div>`;
}

/** @param {any} token @param {any} key @param {string} [anchor] @returns {any} */
function block(token, key, anchor) {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "hr":
      return html`<hr key=${key} />`;
    case "heading":
      return heading(token, key, anchor);
    case "code":
      return html`<${CodeBlock} key=${key} text=${token.text} lang=${token.lang ?? ""} />`;
    case "table":
      return html`<${DocTable} key=${key} token=${token} />`;
    case "list":
      return list(token, key);
    case "blockquote":
      return html`<blockquote key=${key}>${blocks(token.tokens)}</blockquote>`;
    case "paragraph":
      return html`<p key=${key}>${inline(token.tokens)}</p>`;
    case "text":
      return token.tokens ? html`<${Bare} key=${key}>${inline(token.tokens)}<//>` : visible(token.text);
    default:
      return html`<p key=${key}>${visible(token.raw)}</p>`;
  }
}

const blocks = (/** @type {any[]} */ tokens) => tokens.map((one, index) => block(one, index));
const Bare = (/** @type {any} */ {children}) => children;

/** @param {any} token @param {any} key @param {string} [anchor] */
function heading(token, key, anchor) {
  const Level = `h${Math.min(4, Math.max(2, token.depth))}`;
  return html`<${Level} key=${key} id=${anchor} tabindex="-1">${inline(token.tokens)}
    ${anchor && html`<a class="anchor" href=${`#${anchor}`} aria-label=${`Link to ${token.text.replaceAll("`", "")}`}>#</a>`}<//>`;
}

/** @param {any} token @param {any} key */
function list(token, key) {
  const items = token.items.map((/** @type {any} */ item, /** @type {number} */ index) => html`<li key=${index}>${blocks(item.tokens)}</li>`);
  return token.ordered ? html`<ol key=${key} start=${token.start === 1 ? undefined : token.start}>${items}</ol>` : html`<ul key=${key}>${items}</ul>`;
}

/** A table scrolls within its own box. @param {{token: any}} props */
function DocTable({token}) {
  const cell = (/** @type {any} */ one) => inline(one.tokens);
  return html`<div class="doc-table" tabindex="0" role="group" aria-label=${`Table: ${token.header.map((/** @type {any} */ one) => one.text).filter(Boolean).join(", ") || "without heads"}`}><table>
    ${token.header.some((/** @type {any} */ one) => one.text) && html`<thead><tr>${token.header.map((/** @type {any} */ one, /** @type {number} */ at) => (one.text ? html`<th key=${at} scope="col">${cell(one)}</th>` : html`<td key=${at}></td>`))}</tr></thead>`}
    <tbody>${token.rows.map((/** @type {any[]} */ row, /** @type {number} */ line) => html`<tr key=${line}>${row.map((one, at) => html`<td key=${at}>${cell(one)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** @param {any[]} tokens @returns {any} */
function inline(tokens) {
  return tokens.map((token, key) => {
    switch (token.type) {
      case "strong":
        return html`<strong key=${key}>${inline(token.tokens)}</strong>`;
      case "em":
        return html`<em key=${key}>${inline(token.tokens)}</em>`;
      case "codespan":
        return html`<${WithDocs} key=${key} code=${token.text} />`;
      case "link":
        return link(token, key);
      case "br":
        return html`<br key=${key} />`;
      case "html":
        return /^<br ?\/?>$/.test(token.raw) ? html`<br key=${key} />` : visible(token.raw);
      default:
        return visible(token.text ?? token.raw);
    }
  });
}

const OF_DOCS = /^(?:([a-z0-9-]+)\.md)?(#[\w-]+)?$/;

/** Between pages it is a place of ours; what is not shipped is no link. @param {any} token @param {any} key */
function link(token, key) {
  const ours = token.href.match(OF_DOCS);
  if (ours) return html`<a key=${key} href=${ours[1] ? `/docs/${ours[1]}${ours[2] ?? ""}` : token.href}>${inline(token.tokens)}</a>`;
  if (/^https?:\/\//.test(token.href)) return html`<a key=${key} href=${token.href} target="_blank" rel="noopener noreferrer">${inline(token.tokens)}</a>`;
  return inline(token.tokens);
}
