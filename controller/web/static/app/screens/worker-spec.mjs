// What holds of a worker now: every field with where it comes from, the file that it stands in, what processes do not have
// yet, and the same to be copied. What is shown is in the URL (`?view=file#L7`); secrets are hidden by the API.
import {html, useMemo, useState} from "../html.mjs";
import {asCurl} from "../api.mjs";
import {count, plural} from "../format.mjs";
import {place, setQuery} from "../router.mjs";
import {driftOf, fieldsOf, inLarger, valueWords} from "../spec-fields.mjs";
import {yamlOf} from "../spec-yaml.mjs";
import {plan} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {Tag} from "../parts/badge.mjs";
import {AsCommand, CopyButton, Snippet} from "../parts/copy.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {FieldChanges} from "../parts/field-changes.mjs";
import {param} from "../parts/filters.mjs";
import {ErrorNotice, Notice, where} from "../parts/notice.mjs";
import {Card, useFetched} from "../parts/page.mjs";
import {SourceText} from "../parts/source-text.mjs";
import {sentence, withCode} from "../parts/why.mjs";

const VIEWS = [["", "Fields"], ["file", "File"], ["yaml", "YAML"], ["json", "JSON"]];

/** @param {{id: string, item: any, status: any}} props */
export default function WorkerSpec({id, item}) {
  const turn = item ? `${item.revision} ${item.source.line} ${item.problems.length} ${item.desired_state} ${item.desired_replicas} ${item.name}` : "";
  const told = useFetched(`/worker-configs/${id}`, {}, [turn]);
  const text = useFetched(`/worker-configs/${id}/text`, {}, [turn]);
  const config = told.data;
  if (told.error?.status === 404) return html`<div class="card"><${Gone} id=${id} /></div>`;
  if (told.error) return html`<${ErrorNotice} error=${told.error} retry=${told.again} />`;
  if (!config) return html`<div class="card pad"><${Loading} rows=${8} /></div>`;
  const view = config.spec ? param("view") : "file";
  return html`<div class="spec">
    <${Problems} config=${config} id=${id} />
    ${item && config.spec && html`<${Drift} id=${id} item=${item} />`}
    <div class="spec-bar">
      ${config.spec && html`<div class="segments" role="group" aria-label="How it is shown">${VIEWS.map(([name, label]) => html`<button key=${name} type="button" aria-pressed=${view === name}
        onClick=${() => setQuery({view: name})}>${label}</button>`)}</div>`}
      <p class="spec-where muted">${config.source.file && html`<${Where} config=${config} />`}</p>
    </div>
    ${view === "file" ? html`<${File} config=${config} text=${text} />`
      : view === "yaml" ? html`
        <${Copied} text=${yamlOf({worker_id: id, ...setOf(config)})} name=${`${id}.yaml`} what="All that somebody set, as one file: Defaults are merged into it." />`
        : view === "json" ? html`<${Copied} text=${JSON.stringify(config.spec, null, 2)} name="The spec as JSON" what="Every field, defaults filled in, as the API has it." />`
          : html`<${Fields} config=${config} shown=${text.data} />`}
    <details class="as-cli"><summary>The same from a terminal</summary>
      <${AsCommand} cli=${`workerctl edit ${id}\nworkerctl set ${id} replicas=2\nworkerctl explain restart_delay_ms`} curl=${asCurl("GET", `/worker-configs/${id}`)} /></details>
  </div>`;
}

/** The fields that somebody set. @param {any} config */
const setOf = (config) => Object.fromEntries(config.explicit.flatMap((/** @type {string} */ name) => (NAMES.has(name) ? [] : [[name, config.spec[name]]])));
const NAMES = new Set(["worker_id", "kind"]);

/** @param {{config: any}} props */
function Where({config}) {
  const {file, line, commit} = config.source;
  return html`<span><code>${visible(line ? `${file}:${line}` : file)}</code>${commit ? html` as commit <code>${commit.slice(0, 10)}</code> has it` : ""}</span>
    ${config.revision && html`<span>revision <code>${config.revision}</code><${CopyButton} text=${config.revision} label="Copy the revision" mark /></span>`}`;
}

/** @param {{config: any, id: string}} props */
function Problems({config, id}) {
  const {problems} = config;
  if (problems.length === 0) return null;
  const title = `${plural(problems.length, "problem")} in its file${config.spec ? ": the last good spec goes on, and is what you see" : ", and no good spec is known"}`;
  return html`<${Notice} tone="bad" title=${title}><ul class="faults">${problems.map((/** @type {any} */ one, /** @type {number} */ index) => html`<li key=${index}>
    <a href=${`/workers/${id}/spec?view=file${one.line ? `#L${one.line}` : ""}`}><code>${visible(where(one))}</code></a> ${withCode(visible(one.message))}
    ${one.hint && html`<div class="hint">${withCode(visible(one.hint))}</div>`}</li>`)}</ul><//>`;
}

/** What runs, beside what is asked for. @param {{id: string, item: any}} props */
function Drift({id, item}) {
  const {fields, holds} = driftOf(plan.value, id);
  const live = item.instances.filter((/** @type {any} */ one) => one.pid);
  const behind = live.filter((/** @type {any} */ one) => one.revision && one.revision !== item.revision);
  if (!fields.length && !behind.length) {
    return html`<p class="spec-drift is-same"><span class="drift-mark" aria-hidden="true"></span><span>
      ${live.length ? html`What runs has all of it: ${plural(live.length, "process", "processes")} at revision <code>${item.revision}</code>.`
        : "Nothing of it runs now. What is started next has all of it."}</span></p>`;
  }
  return html`<section class="spec-drift is-behind" aria-label="Not applied yet">
    <p><span class="drift-mark" aria-hidden="true"></span><strong>
      ${fields.length ? `${plural(fields.length, "field")} that what runs does not have yet` : `${plural(behind.length, "process", "processes")} of an older revision`}</strong>
      ${behind.length > 0 && html`<span class="muted"> ${behind.slice(0, 8).map((/** @type {any} */ one) => one.instance).join(", ")}
        ${behind.length > 8 ? ` and ${behind.length - 8} more` : ""}</span>`}</p>
    ${holds.map((/** @type {any} */ one) => html`<p key=${one.message} class="drift-why">${withCode(sentence(oneLine(one.message)))}</p>`)}
    <${FieldChanges} fields=${fields} />
    <p class="muted"><a href=${`/plan?q=${encodeURIComponent(id)}`}>The plan</a> says when each comes.</p>
  </section>`;
}

/** @param {{config: any, shown: any}} props */
function Fields({config, shown}) {
  const [all, showAll] = useState(false);
  // A file with a problem is another one than what holds: it does not say where that comes from.
  const fields = useMemo(() => fieldsOf(config, config.valid ? shown : null), [config, shown]);
  const set = fields.filter((one) => one.isSet);
  const usual = fields.filter((one) => !one.isSet);
  return html`<${Card} title="In effect" aside=${`${plural(set.length, "field")} set`} flush>
    <div class="table-box"><table class="table spec-fields" aria-label="Fields in effect">
      <thead><tr><th scope="col">Field</th><th scope="col">Value</th><th scope="col">From</th></tr></thead>
      <tbody>${set.map((one) => html`<${FieldRow} key=${one.path} one=${one} id=${config.worker_id} />`)}
        ${all && usual.map((one) => html`<${FieldRow} key=${one.path} one=${one} id=${config.worker_id} />`)}</tbody></table></div>
    <p class="spec-more"><button type="button" class="button small" aria-expanded=${all} onClick=${() => showAll(!all)}>
      ${all ? "Hide what is as usual" : `Show ${count(usual.length)} that are as usual`}</button>
      <span class="muted">Nobody set them: each has its default.</span></p>
  <//>`;
}

/** @param {{one: import("../spec-fields.mjs").Field, id: string}} props */
function FieldRow({one, id}) {
  const larger = inLarger(one.path, one.value);
  const at = one.file && `${one.file}:${one.line}`;
  const isNone = one.value === null || one.value === "";
  return html`<tr class=${one.isSet ? "" : "is-usual"}><th scope="row"><code>${visible(one.path)}</code></th>
    <td data-label="Value">${isNone ? html`<span class="muted">${valueWords(one.value)}</span>` : html`<code class="spec-value">${visible(valueWords(one.value))}</code>`}
      ${larger && html` <span class="muted">${larger}</span>`}${one.value === "***" && html` <span class="muted">hidden</span>`}</td>
    <td data-label="From">${at ? one.isOwn ? html`<a href=${`/workers/${id}/spec?view=file#L${one.line}`}>${visible(at)}</a>` : html`<span>${visible(at)}</span> <${Tag}>Defaults<//>`
      : html`<span class="muted">${one.isSet ? "its last good spec" : "default"}</span>`}</td></tr>`;
}

/** @param {{config: any, text: any}} props */
function File({config, text}) {
  const hash = /^#L(\d+)$/.exec(place.value.hash);
  const marked = hash ? Number(hash[1]) : null;
  if (text.error) return html`<${ErrorNotice} error=${text.error} retry=${text.again} />`;
  if (!text.data) return html`<div class="card pad"><${Loading} rows=${8} /></div>`;
  const isHidden = text.data.text.includes("***");
  return html`<${Card} title=${html`<code>${visible(text.data.file)}</code>`} flush
    aside=${html`${isHidden && html`<span>what looks like a secret is hidden</span>`}<${CopyButton} text=${text.data.text} label="Copy" />`}>
    <${SourceText} text=${text.data.text} from=${text.data.line} to=${text.data.last_line} problems=${config.problems} marked=${marked} /><//>`;
}

/** @param {{text: string, name: string, what: string}} props */
function Copied({text, name, what}) {
  return html`<${Card} title=${name.startsWith("The") ? "JSON" : html`<code>${name}</code>`} aside=${what}><${Snippet} text=${text} name=${name} /><//>`;
}

/** @param {{id: string}} props */
function Gone({id}) {
  const past = useFetched(`/worker-configs/${id}/history`, {limit: 1});
  const href = `/workers/${id}/history`;
  return past.data?.items.length
    ? html`<${Empty} title="Its spec is gone" actions=${html`<a class="button" href=${href}>Its history</a>`}>
      What it said, and who took it away, stands in its history: from there it can be brought back.<//>`
    : html`<${Empty} title="There is no spec of this name" actions=${html`<a class="button" href="/workers">All workers</a>`}>
      A spec is a document of a YAML file in the directory that is served; its <code>worker_id</code> is its name.<//>`;
}
