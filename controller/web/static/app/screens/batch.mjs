// One batch: how far it is, what became of each worker, and what can be done about it.
import {html, useState} from "../html.mjs";
import {asCurl, quoted, send} from "../api.mjs";
import {doneOf, isOver, RESULTS, resultWord, TONES, toRetry, VERBS} from "../batches.mjs";
import {duration, plural} from "../format.mjs";
import {go} from "../router.mjs";
import {mayAct} from "../session.mjs";
import {batches, workers} from "../store.mjs";
import {oneLine, visible} from "../text.mjs";
import {now} from "../time.mjs";
import {useHeading} from "../shell.mjs";
import {Status, Tag} from "../parts/badge.mjs";
import {BatchProgress} from "../parts/batch-progress.mjs";
import {AsCommand, CopyButton} from "../parts/copy.mjs";
import {closeDialog, Dialog, open} from "../parts/dialog.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {ActiveFilters, FilterChoices, params} from "../parts/filters.mjs";
import {ErrorNotice, toast} from "../parts/notice.mjs";
import {Card, Facts, PageHead, useFetched} from "../parts/page.mjs";
import {Table} from "../parts/table.mjs";
import {When} from "../parts/when.mjs";

/** @param {{params: Record<string, string>}} props */
export default function Batch({params: {id}}) {
  const known = batches.value.get(id);
  const {data, error, again} = useFetched(known?.results ? null : `/batches/${id}`);
  const batch = known?.results ? known : data;
  useHeading(batch ? `${VERBS[/** @type {"stop"} */ (batch.action)]} ${plural(batch.total, "worker")}` : "Batch");
  if (!batch && error?.status === 404) return html`<${Unknown} id=${id} />`;
  if (!batch) return html`<${PageHead} title="Batch" over=${html`<a href="/batches">Batches</a>`} />${error ? html`<${ErrorNotice} error=${error}
    retry=${again} />` : html`<${Loading} />`}`;
  const order = new Map(RESULTS.map(([state], index) => [state, ["failed", "not_found", "running"].includes(state) ? index - 10 : index]));
  const chosen = params("state");
  const rows = batch.results.filter((/** @type {any} */ one) => chosen.length === 0 || chosen.includes(one.state))
    .map((/** @type {any} */ one, /** @type {number} */ index) => ({...one, index}))
    .sort((/** @type {any} */ a, /** @type {any} */ b) => (order.get(a.state) ?? 0) - (order.get(b.state) ?? 0) || a.index - b.index);
  return html`<${PageHead} over=${html`<a href="/batches">Batches</a>`} actions=${mayAct.value && html`<${Actions} batch=${batch} />`}
      title=${html`<span class="worker-title"><span>${VERBS[/** @type {"stop"} */ (batch.action)]} ${plural(batch.total, "worker")}</span><${Tag} tone=${TONES[batch.state]}>
        ${batch.state}<//></span>`}>
      ${batch.reason && html`<bdi>${visible(batch.reason)}</bdi>`}<//>
    <div class="stack">
      <${Card}><${BatchProgress} batch=${batch} words /><${About} batch=${batch} /><//>
      <section><div class="filters"><${FilterChoices} name="state" label="Result" options=${RESULTS.map(([state]) => state)
        .filter((state) => batch.counts[state] || chosen.includes(state)).map((state) => ({value: state, label: resultWord(state), count: batch.counts[state]}))} /></div>
      <${ActiveFilters} names=${["state"]}>${rows.length < batch.total && `${rows.length} of ${plural(batch.total, "worker")}`}<//>
      <div class="card"><${Table} label="Results" rows=${rows} columns=${COLUMNS} keyOf=${(/** @type {any} */ one) => one.worker_id}
        hrefOf=${(/** @type {any} */ one) => `/workers/${one.worker_id}`} /></div></section>
    </div>`;
}

/** @type {Record<string, string>} */
const TONE = Object.fromEntries(RESULTS.map(([state, tone]) => [state, tone]));

/** @type {import("../parts/table.mjs").Column[]} */
const COLUMNS = [
  {id: "worker", label: "Worker", class: "whole head nowrap", cell: (one) => html`<a class="name" href=${`/workers/${one.worker_id}`}>${visible(one.worker_id)}</a>`},
  {id: "result", label: "Result", class: "half plain nowrap", cell: (one) => html`<${Tag} tone=${TONE[one.state]}>${resultWord(one.state)}<//>`},
  {id: "detail", label: "Says", class: "grow whole", cell: (one) => html`<span class="reason">${oneLine(one.detail, 240)}</span>`},
  {id: "now", label: "Is now", class: "half nowrap", cell: (one) => html`<${NowIs} id=${one.worker_id} />`},
  {id: "log", label: "Its log", unnamed: true, class: "half plain nowrap", cell: (one) => (one.state === "failed" ? html`<a href=${`/workers/${one.worker_id}/logs`}>log</a>` : "")},
];

/** @param {{id: string}} props */
function NowIs({id}) {
  const item = workers.value.get(id);
  return item ? html`<${Status} value=${item.status} quiet />` : html`<span class="muted">\u2013</span>`;
}

/** @param {{batch: any}} props */
function About({batch}) {
  const end = batch.ended_at ? Date.parse(batch.ended_at) : now.value;
  return html`<div class="batch-about"><${Facts} items=${[
    ["By", oneLine(batch.actor, 80)],
    ["Begun", html`<${When} at=${batch.created_at} />`],
    [batch.ended_at ? "Took" : "So far", duration((end - Date.parse(batch.created_at)) / 1000)],
    ["At a time", batch.options.parallel],
    ["Once one fails", batch.options.stop_on_failure ? "it stops" : "it goes on"],
    !batch.options.graceful && ["How", "killed at once"],
    batch.selector && ["Labels", html`<code>${visible(batch.selector)}</code>`],
    batch.origin && ["Again of", html`<a href=${`/batches/${batch.origin}`}>${batch.origin.slice(0, 8)}</a>`],
    ["Batch", html`<code>${batch.batch_id}</code><${CopyButton} text=${batch.batch_id} label="Copy the batch's id" mark />`],
  ]} /></div>`;
}

/** @param {{batch: any}} props */
function Actions({batch}) {
  const failed = toRetry(batch);
  if (!isOver(batch)) return html`<button class="button" onClick=${() => open(html`<${Ask} batch=${batch} what="cancel" />`)}>Cancel the rest</button>`;
  return failed > 0 ? html`<button class="button primary" onClick=${() => open(html`<${Ask} batch=${batch}
    what="retry" />`)}>Try ${failed === 1 ? "the failed one" : `the ${failed} failed`} again</button>` : null;
}

/** @param {{batch: any, what: "cancel"|"retry"}} props */
function Ask({batch, what}) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const [reason, setReason] = useState("");
  const isRetry = what === "retry";
  const body = isRetry && reason ? {reason} : undefined;
  const path = `/batches/${batch.batch_id}/${what}`;
  const points = isRetry
    ? [`A new batch of ${plural(toRetry(batch), "worker")} that failed or were skipped, with the same options.`, "This one stays as it is."]
    : [`${plural(batch.counts.pending, "worker")} that ${batch.counts.pending === 1 ? "waits is" : "wait are"} left out.`,
      `${plural(batch.counts.running, "worker")} under way ${batch.counts.running === 1 ? "goes" : "go"} on to the end.`, "Nothing that was done is taken back."];
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const {data} = await send("POST", path, body);
      closeDialog();
      if (isRetry) go(`/batches/${data.batch_id}`);
      else toast({text: `The rest is left out: ${doneOf(data)} of ${data.total} were done.`});
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${isRetry ? "Try again?" : "Cancel the rest?"}><form class="stack" onSubmit=${submit}>
    <ul class="points">${points.map((point) => html`<li key=${point}>${point}</li>`)}</ul>
    ${isRetry && html`<label class="field"><span>Reason <small>without: the same as before</small></span>
      <input maxlength="500" autofocus autocomplete="off" value=${reason} onInput=${(/** @type {any} */ event) => setReason(event.target.value)} /></label>`}
    <${ErrorNotice} error=${error} />
    <${AsCommand} cli=${`workerctl batch ${what} ${batch.batch_id}${body ? ` --reason ${quoted(reason)}` : ""}`} curl=${asCurl("POST", path, {body})} />
    <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Leave it</button>
      <button type="submit" class=${`button primary ${isRetry ? "" : "harsh"}`} disabled=${isBusy}>${isRetry ? "Try again" : "Cancel the rest"}</button></div>
  </form><//>`;
}

/** @param {{id: string}} props */
const Unknown = ({id}) => html`<${PageHead} title="There is no such batch" over=${html`<a href="/batches">Batches</a>`} />
  <div class="card"><${Empty} title=${visible(id)} actions=${html`<a class="button" href="/batches">All batches</a>`}>The newest hundred that are over are kept.<//></div>`;
