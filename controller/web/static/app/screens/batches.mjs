// Batches: what was asked of many workers at once, how it goes and went; and a new one.
import {html, useEffect} from "../html.mjs";
import {doneOf, TONES, VERBS} from "../batches.mjs";
import {plural} from "../format.mjs";
import {setQuery} from "../router.mjs";
import {mayAct} from "../session.mjs";
import {batches} from "../store.mjs";
import {oneLine} from "../text.mjs";
import {Tag} from "../parts/badge.mjs";
import {beginBatch} from "../parts/batch-form.mjs";
import {BatchProgress} from "../parts/batch-progress.mjs";
import {Snippet} from "../parts/copy.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {param} from "../parts/filters.mjs";
import {ErrorNotice} from "../parts/notice.mjs";
import {PageHead, useFetched} from "../parts/page.mjs";
import {Table} from "../parts/table.mjs";
import {When} from "../parts/when.mjs";

export default function Batches() {
  // The stream tells those under way, and what ends while this page is open; the others are asked for.
  const kept = useFetched("/batches");
  const known = new Map([...(kept.data?.items ?? []).map((/** @type {any} */ one) => [one.batch_id, one]), ...batches.value]);
  const rows = [...known.values()].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  const under = rows.filter((one) => one.state === "running").length;
  useEffect(() => {
    // A link to `/batches?new=1&selector=tier=front` opens the form.
    if (param("new") && mayAct.peek()) {
      beginBatch(param("selector") ? {selector: param("selector")} : {});
      setQuery({new: null, selector: null});
    }
  }, []);
  const start = mayAct.value && html`<button class="button primary" onClick=${() => beginBatch()}>New batch</button>`;
  return html`<${PageHead} title="Batches" actions=${rows.length > 0 && start}>
      Start, stop or restart many workers, some at a time, with a result for each.${under > 0 && ` ${plural(under, "batch", "batches")} under way.`}<//>
    <${ErrorNotice} error=${kept.error} retry=${kept.again} />
    ${kept.isLoading && rows.length === 0 ? html`<${Loading} />` : rows.length
      ? html`<div class="card"><${Table} label="Batches" rows=${rows} columns=${COLUMNS} keyOf=${(/** @type {any} */ one) => one.batch_id} hrefOf=${hrefOf} /></div>`
      : html`<div class="card"><${Empty} title="No batch yet" actions=${start}>
          <p>A batch goes through many workers, a few at a time, and says what became of each. It
            goes on when the controller is restarted, can be cancelled, and what failed of it can be tried again.</p>
          <${Snippet} name="From a terminal" text="workerctl batch restart -l tier=front --parallel 2" /><//></div>`}`;
}

const hrefOf = (/** @type {any} */ one) => `/batches/${one.batch_id}`;

/** @type {import("../parts/table.mjs").Column[]} */
const COLUMNS = [
  {id: "what", label: "What", class: "whole head nowrap", cell: (one) => html`<a class="name" href=${hrefOf(one)}>
    ${/** @type {any} */ (VERBS)[one.action]} ${plural(one.total, "worker")}</a>
    <div class="name-more">${one.selector ? html`<code>${oneLine(one.selector, 60)}</code>` : ""}${one.origin && html` <span>again of ${one.origin.slice(0, 8)}</span>`}</div>`},
  {id: "state", label: "State", class: "half plain", cell: (one) => html`<${Tag} tone=${TONES[one.state]}>${one.state === "running" ? `${doneOf(one)} of ${one.total}` : one.state}<//>`},
  {id: "progress", label: "Progress", class: "grow whole plain", cell: (one) => html`<${BatchProgress} batch=${one} />`},
  {id: "reason", label: "Reason", class: "half", cell: (one) => (one.reason ? oneLine(one.reason, 80) : html`<span class="muted">\u2013</span>`)},
  {id: "by", label: "By", class: "nowrap", cell: (one) => oneLine(one.actor, 30)},
  {id: "when", label: "Begun", class: "num", cell: (one) => html`<${When} at=${one.created_at} />`},
];
