// What became of a worker's spec: each one that was accepted, by whom and why, what differs and what came of it; any two
// beside each other (`?from=SEQ&to=SEQ`); and going back.
import {html, useMemo, useState} from "../html.mjs";
import {asCurl} from "../api.mjs";
import {count, plural} from "../format.mjs";
import {setQuery, withQuery} from "../router.mjs";
import {mayAct} from "../session.mjs";
import {authorOf, grouped, outcomeOf, some, useSpecHistory} from "../spec-history.mjs";
import {yamlOf} from "../spec-yaml.mjs";
import {oneLine, visible} from "../text.mjs";
import {Tag} from "../parts/badge.mjs";
import {AsCommand, CopyButton} from "../parts/copy.mjs";
import {Diff, FieldDiff} from "../parts/diff.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {FieldChanges} from "../parts/field-changes.mjs";
import {param} from "../parts/filters.mjs";
import {goBack} from "../parts/go-back.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {Card} from "../parts/page.mjs";
import {absolute, When} from "../parts/when.mjs";
import {withCode} from "../parts/why.mjs";

/** @param {{id: string, item: any}} props */
export default function WorkerHistory({id, item}) {
  const told = useSpecHistory(id);
  const {items} = told;
  const groups = useMemo(() => grouped(items ?? []), [items]);
  if (items === null) {
    if (told.error?.status === 404) return html`<div class="card"><${Nothing} id=${id} isKnown=${Boolean(item)} /></div>`;
    return told.error ? html`<${ErrorNotice} error=${told.error} retry=${told.again} />` : html`<div class="card pad"><${Loading} rows=${8} /></div>`;
  }
  if (items.length === 0) return html`<div class="card"><${Nothing} id=${id} isKnown=${Boolean(item)} /></div>`;
  const kept = items.filter((one) => one.spec);
  return html`<div class="history">
    <${ErrorNotice} error=${told.error} retry=${told.again} />
    <${Compared} id=${id} kept=${kept} />
    <ol class="revisions">${groups.map((group) => html`<${Revision} key=${group.at(-1).seq} id=${id} group=${group} kept=${kept} />`)}</ol>
    ${told.hasMore ? html`<p class="event-more"><button class="button" disabled=${told.isPaging} onClick=${told.older}>${told.isPaging ? "Loading\u2026" : "Load older"}</button></p>`
      : html`<p class="event-more muted">This is the first one that is kept.</p>`}
    <details class="as-cli"><summary>The same from a terminal</summary><${AsCommand} cli=${terminal(id, items)} curl=${asCurl("GET", `/worker-configs/${id}/history`)} /></details>
  </div>`;
}

/** @param {string} id @param {any[]} items */
function terminal(id, items) {
  const file = items.find((one) => one.source.file)?.source.file;
  return `workerctl events ${id} --type spec_accepted${items.some((one) => one.commit) && file ? `\ngit log -p -- ${file}` : ""}`;
}

/** @param {{id: string, group: any[], kept: any[]}} props */
function Revision({id, group, kept}) {
  const one = group[0];
  const at = html`<${When} at=${one.at} />`;
  const place = kept.indexOf(one);
  const before = kept[place + 1];
  return html`<li class=${`revision r-${one.kind} ${one.is_current ? "is-current" : ""}`}>
    <span class="revision-rail" aria-hidden="true"><span class="revision-dot"></span></span>
    <article class="card" aria-label=${`${titleOf(one)}, ${absolute(one.at)}`}>
      <header class="revision-head"><h2>${titleOf(one)}${one.is_current && html` <${Tag} tone="good">now<//>`}</h2>
        <span class="revision-when">${at}</span></header>
      ${one.kind === "rejected" ? html`<${Rejected} group=${group} />` : html`
        <${By} one=${one} /><${Changes} one=${one} isFirst=${one.kind === "accepted" && place >= 0 && !before} /><${Outcome} id=${id} one=${one} />`}
      ${one.spec && html`<footer class="revision-foot">
        ${one.revision && html`<span class="muted">revision <code>${one.revision}</code><${CopyButton} text=${one.revision} label="Copy the revision" mark /></span>`}
        <span class="revision-acts">${before && html`<a class="button small plain" href=${withQuery({from: before.seq, to: one.seq})}>Text before and after</a>`}
          ${!one.is_current && kept[0] !== one && html`<a class="button small plain" href=${withQuery({from: one.seq, to: kept[0].seq})}>Compare with the newest</a>`}
          ${mayAct.value && !one.is_current && html`<button type="button" class="button small" onClick=${() => goBack(id, one)}>Go back to it</button>`}</span></footer>`}
    </article></li>`;
}

/** @param {any} one */
function titleOf(one) {
  if (one.kind === "removed") return "Removed";
  if (one.kind === "rejected") return "Refused";
  if (one.fields === null) return "Accepted";
  if (one.fields.length === 0) return "Accepted anew";
  const names = one.fields.map((/** @type {any} */ field) => field.path);
  return names.length <= 3 ? `Changed ${names.join(", ")}` : `Changed ${plural(names.length, "field")}`;
}

/** @param {{group: any[]}} props */
function Rejected({group}) {
  const told = [...new Set(group.map((one) => one.message))];
  return html`<p class="muted">The file was changed so that it cannot be accepted
    ${group.length > 1 ? html`, ${count(group.length)} problems until <${When} at=${group[0].at} />` : ""}. What was good before went on.</p>
    <ul class="faults">${told.slice(0, 6).map((message) => html`<li key=${message}>${withCode(visible(message))}</li>`)}
      ${told.length > 6 && html`<li class="muted">and ${told.length - 6} more</li>`}</ul>`;
}

/** @param {{one: any}} props */
function By({one}) {
  const {who, how, why, more} = authorOf(one);
  const [isOpen, setOpen] = useState(false);
  const unknown = one.kind === "removed" ? "Its document was taken out of its file" : "Edited in its file, not through this controller";
  return html`<div class="revision-by"><p>${who ? html`<strong><bdi>${oneLine(who, 80)}</bdi></strong> <span class="muted">${how}</span>` : html`<span class="muted">${unknown}</span>`}${
    one.source.file && html` <code>${visible(one.source.line ? `${one.source.file}:${one.source.line}` : one.source.file)}</code>`}${
    one.commit && html` <span class="muted">commit</span> <code title=${one.commit.id}>${one.commit.id.slice(0, 10)}</code>`}</p>
    ${why && html`<p class="revision-why">${visible(why)}
      ${more && html` <button type="button" class="as-link" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${isOpen ? "less" : "more"}</button>`}</p>`}
    ${isOpen && html`<pre class="revision-message">${visible(more)}</pre>`}</div>`;
}

/** @param {{one: any, isFirst: boolean}} props */
function Changes({one, isFirst}) {
  if (one.kind === "removed") return null;
  if (one.fields === null) return html`<p class="muted">${isFirst ? "The first one that is kept: there is none before it to compare with." : "What it said is not kept: it was too long."}</p>`;
  if (one.fields.length === 0) return html`<p class="muted">No field differs: an env file or a secret that it names has changed, or it came back.</p>`;
  return html`<${FieldChanges} fields=${one.fields} />`;
}

/** @param {{id: string, one: any}} props */
function Outcome({id, one}) {
  const did = outcomeOf(one);
  if (one.gave_up.length) {
    return html`<p class="revision-outcome is-bad"><span class="outcome-mark" aria-hidden="true"></span>
      ${did.length ? html`${upper(did.join("; "))}. ` : ""}<strong>${some(one.gave_up)} gave up</strong> with it. <a href=${`/workers/${id}/events?type=gave_up`}>Why</a></p>`;
  }
  if (did.length === 0) return html`<p class="revision-outcome muted">No process was touched.</p>`;
  return html`<p class="revision-outcome"><span class="outcome-mark" aria-hidden="true"></span>${upper(did.join("; "))}.</p>`;
}

/** @param {string} text */
const upper = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

/** Two of them beside each other. @param {{id: string, kept: any[]}} props */
function Compared({id, kept}) {
  const [from, to] = ["from", "to"].map((name) => kept.find((one) => String(one.seq) === param(name)));
  if (!param("from") && !param("to")) return null;
  const close = html`<a class="button small plain" href=${withQuery({from: null, to: null, as: null})}>Close</a>`;
  if (!from || !to) return html`<${Card} title="Compared" aside=${close}><p class="muted">One of the two is not among those that are loaded: it is older, or not kept any more.</p><//>`;
  const isText = param("as") !== "fields";
  const choose = (/** @type {string} */ name) => (/** @type {any} */ event) => setQuery({[name]: event.target.value});
  const choice = (/** @type {string} */ name, /** @type {any} */ one, /** @type {string} */ label) => html`<label class="choose"><span>${label}</span>
    <select value=${String(one.seq)} onChange=${choose(name)}>
    ${kept.map((other) => html`<option key=${other.seq} value=${String(other.seq)}>${labelOf(other)}</option>`)}</select></label>`;
  const [older, newer] = [from, to].map((one) => yamlOf({worker_id: id, ...one.spec}));
  const label = `What differs between the spec of ${absolute(from.at)} and that of ${absolute(to.at)}`;
  return html`<${Card} title="Compared" aside=${close} class="compared"><div class="stack">
    <div class="compare-bar">${choice("from", from, "Before")}${choice("to", to, "After")}
      <div class="segments" role="group" aria-label="How they are compared"><button type="button" aria-pressed=${isText} onClick=${() => setQuery({as: null})}>Text</button>
        <button type="button" aria-pressed=${!isText} onClick=${() => setQuery({as: "fields"})}>Fields</button></div></div>
    ${isText ? html`<${Diff} before=${older} after=${newer} label=${label} names=${[labelOf(from), labelOf(to)]} />` : html`<${FieldDiff} before=${from.spec} after=${to.spec} label=${label} />`}
    <p class="muted">As somebody set it, Defaults merged in, secrets hidden; not the file's own text, of which git has the history.</p></div><//>`;
}

/** @param {any} one */
const labelOf = (one) => `${new Date(one.at).toLocaleString("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit"})}${one.is_current ? " (now)" : ""}`;

/** @param {{id: string, isKnown: boolean}} props */
function Nothing({id, isKnown}) {
  if (isKnown) {
    return html`<${Empty} title="No spec of it is kept" actions=${html`<a class="button" href=${`/workers/${id}/spec`}>Its spec now</a>`}>
      Each time that its spec changes, it stands here: who changed what and why, what was restarted for it, and a way back. What was before is removed after a while, as all events are.<//>`;
  }
  return html`<${Empty} title="Nothing is known of this name" actions=${html`<a class="button" href="/workers">All workers</a>`}>No spec of ${visible(id)} is kept.<//>`;
}
