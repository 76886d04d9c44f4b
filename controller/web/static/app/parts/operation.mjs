// One request of the API: folded to a line, opened to everything about it.
import {cls, html, useEffect, useState} from "../html.mjs";
import {curlOf, shapeOf, targetOf} from "../api-reference.mjs";
import {who} from "../session.mjs";
import {byUrgency} from "../store.mjs";
import {Tag} from "./badge.mjs";
import {CodeBlock} from "./code.mjs";
import {Snippet} from "./copy.mjs";
import {withCode} from "./doc-link.mjs";
import {TryIt} from "./try-it.mjs";

/** @type {Record<string, string>} */
const ROLES = {public: "anybody", worker: "the worker itself", viewer: "viewer", operator: "operator", admin: "admin"};

/** @param {{one: import("../api-reference.mjs").Operation, shapes: any, isNamed: boolean}} props */
export function Operation({one, shapes, isNamed}) {
  const [isOpen, setOpen] = useState(isNamed);
  useEffect(() => {
    if (isNamed) setOpen(true);
  }, [isNamed]);
  return html`<details class="operation" id=${one.id} tabindex="-1" open=${isOpen} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
    <summary><span class=${cls("method", `m-${one.method.toLowerCase()}`)}>${one.method}</span><code class="operation-path">${pathOf(one.path)}</code>
      <span class="operation-does">${withText(one.summary)}</span>${one.role !== "viewer" && html`<${Tag}>${ROLES[one.role] ?? one.role}<//>`}</summary>
    ${isOpen && html`<${Opened} one=${one} shapes=${shapes} />`}
  </details>`;
}

/** What all share stands back. @param {string} path */
const pathOf = (path) => (path.startsWith("/api/v1/") ? html`<span>/api/v1/</span>${path.slice(8)}` : path);

/** Within a summary a link would be a control within a control. @param {string} text */
const withText = (text) => text.split("`").map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part));

/** @param {{one: import("../api-reference.mjs").Operation, shapes: any}} props */
function Opened({one, shapes}) {
  const [values, setValues] = useState(/** @type {Record<string, string>} */ (() => usual(one)));
  const set = (/** @type {string} */ name, /** @type {string} */ value) => setValues((/** @type {any} */ was) => ({...was, [name]: value}));
  const known = who.value;
  const good = one.answers.filter((answer) => !answer.isProblem);
  const bad = one.answers.filter((answer) => answer.isProblem);
  const isFollowed = one.answers.some((answer) => answer.status === "200" && answer.types[0] === "text/event-stream");
  return html`<div class="operation-body">
    <p class="muted">Who may: ${ROLES[one.role] ?? one.role}${["viewer", "operator"].includes(one.role) ? " or above" : ""}. <a href=${`/api#${one.id}`}>Link to this</a></p>
    ${one.parameters.length > 0 && html`<section><h3>Parameters</h3><${Parameters} one=${one} values=${values} set=${set} /></section>`}
    ${one.body && html`<section><h3>Body <span class="muted">${one.body.types.join(" or ")}${one.body.isNeeded ? "" : ", optional"}</span></h3>
      ${one.body.schema.description && html`<p>${withCode(one.body.schema.description)}</p>`}<${CodeBlock} text=${shapeOf(one.body.schema, shapes)} name="Shape of the body" /></section>`}
    <section><h3>As curl</h3><${Snippet} name="curl" text=${curlOf(one, values, shapes, known !== null && known.via !== "peer")} wrap /></section>
    ${one.method === "GET" && !isFollowed && may(one.role) && html`<${TryIt} target=${targetOf(one, values)} isWhole=${!targetOf(one, values).includes("{")} />`}
    <section><h3>Answers</h3><ul class="answers">${good.map((answer) => html`<${Answer} key=${answer.status} answer=${answer} shapes=${shapes} />`)}</ul></section>
    ${bad.length > 0 && html`<section><h3>Problems <span class="muted">application/problem+json</span></h3><ul class="answers">
      ${bad.map((answer) => html`<li key=${answer.status}><span class="answer-status">${answer.status === "default" ? "else" : answer.status}</span><span>${withCode(answer.description)}</span></li>`)}</ul></section>`}
  </div>`;
}

const RANK = ["public", "viewer", "operator", "admin"];
const may = (/** @type {string} */ role) => RANK.indexOf(role) <= RANK.indexOf(who.value?.role ?? "public");

/** What is filled in at first: a worker that there is. @param {import("../api-reference.mjs").Operation} one */
function usual(one) {
  const first = byUrgency.peek()[0]?.worker_id;
  /** @type {Record<string, string>} */
  const found = {};
  if (first && /\/(workers|worker-configs)\/\{id\}/.test(one.path)) found.id = first;
  if (one.path.includes("{topic}")) found.topic = "specs";
  return found;
}

/** @param {{one: import("../api-reference.mjs").Operation, values: Record<string, string>, set: (name: string, value: string) => void}} props */
function Parameters({one, values, set}) {
  const places = {path: "in the path", header: "header"};
  return html`<dl class="parameters">${one.parameters.map((parameter) => html`<div key=${parameter.name}>
    <dt><code>${parameter.name}</code><small>${[places[/** @type {"path"} */ (parameter.in)], parameter.required && "needed", parameter.schema?.type === "array" && "may be repeated"].filter(Boolean).join(", ")}</small></dt>
    <dd>${parameter.description && html`<p>${withCode(parameter.description)}</p>`}
      ${parameter.name === "follow" ? null : html`<${Value} id=${`${one.id}-${parameter.name}`} parameter=${parameter} value=${values[parameter.name] ?? ""} set=${set} />`}</dd></div>`)}</dl>`;
}

/** @param {{id: string, parameter: any, value: string, set: (name: string, value: string) => void}} props */
function Value({id, parameter, value, set}) {
  const schema = parameter.schema?.type === "array" ? parameter.schema.items : parameter.schema;
  const onInput = (/** @type {any} */ event) => set(parameter.name, event.target.value);
  if (schema?.enum) {
    return html`<select id=${id} aria-label=${parameter.name} value=${value} onChange=${onInput}><option value=""></option>
      ${schema.enum.filter(Boolean).map((/** @type {string} */ one) => html`<option key=${one} value=${one}>${one}</option>`)}</select>`;
  }
  const bounds = schema?.maximum === undefined ? "" : `${schema.minimum} to ${schema.maximum}`;
  return html`<input id=${id} aria-label=${parameter.name} value=${value} placeholder=${bounds || schema?.type || ""} spellcheck=${false} autocomplete="off" onInput=${onInput} />`;
}

/** @param {{answer: any, shapes: any}} props */
function Answer({answer, shapes}) {
  const [isOpen, setOpen] = useState(false);
  const others = answer.types.filter((/** @type {string} */ one) => one !== "application/json");
  return html`<li><span class="answer-status is-good">${answer.status}</span><div><p>${withCode(answer.description)} ${others.length > 0 && html`<span class="muted">${answer.schema ? "Also as " : ""}${others.join(", ")}</span>`}</p>
    ${answer.schema && html`<details onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}><summary>Shape</summary>
      ${isOpen && html`<${CodeBlock} text=${shapeOf(answer.schema, shapes)} name="Shape of the answer" />`}</details>`}</div></li>`;
}
