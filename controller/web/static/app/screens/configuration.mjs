// All specs: those that are not valid first, each with its place in its file and what to write instead; then all of them
// with where they stand and what they ask for.
import {html, useMemo} from "../html.mjs";
import {plural} from "../format.mjs";
import {useCommands} from "../keys.mjs";
import {mayAct} from "../session.mjs";
import {oneLine, visible} from "../text.mjs";
import {Tag} from "../parts/badge.mjs";
import {Snippet} from "../parts/copy.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {ActiveFilters, FilterChoices, FilterText, param, params} from "../parts/filters.mjs";
import {ErrorNotice, Faults, Notice, where} from "../parts/notice.mjs";
import {PageHead, useFetched} from "../parts/page.mjs";
import {Table} from "../parts/table.mjs";
import {useSpecs} from "../specs.mjs";

const MORE = html`<a class="button primary" href="/configuration/new">New worker</a>`;

export default function Configuration() {
  const {items, error, again} = useSpecs();
  const {data: summary} = useFetched("/worker-configs/stats/summary", {}, [items]);
  useCommands(() => (mayAct.value ? [{group: "Do", label: "New worker", href: "/configuration/new"}] : []), []);
  const shown = useMemo(() => (items ?? []).filter(covers), [items, param("q"), params("is").join()]);
  const strays = summary?.file_problems ?? [];
  return html`<${PageHead} title="Configuration" actions=${mayAct.value && MORE}>
      ${items === null ? "What each worker is asked to be, by its file."
        : `${plural(items.length, "spec")} in ${plural(new Set(items.map((one) => one.source.file)).size, "file")}. The files are the truth: edit them here or anywhere else.`}<//>
    <${ErrorNotice} error=${error} retry=${again} />
    ${summary?.hold && html`<${Notice} tone="warn" title="Specs are held as they were">${visible(summary.hold)}<//>`}
    ${items === null ? !error && html`<${Loading} />` : items.length + strays.length === 0 ? html`<${NoSpecs} />` : html`<div class="stack">
      <${Faulty} items=${items.filter((one) => !one.valid)} strays=${strays} />
      ${items.length > 0 && html`<div>
        <div class="filters"><${FilterText} label="Filter specs" placeholder="Worker, label, file" />
          <${FilterChoices} name="is" label="Which" options=${[{value: "valid", label: "Valid"}, {value: "invalid", label: "With problems"}]} /></div>
        <${ActiveFilters} names=${["q", "is"]}>${shown.length < items.length && `${shown.length} of ${plural(items.length, "spec")}`}<//>
        <div class="card">${shown.length ? html`<${Table} label="Specs" rows=${shown} columns=${COLUMNS} keyOf=${idOf} hrefOf=${hrefOf} />`
          : html`<${Empty} title="No spec is like this" actions=${html`<a class="button" href="/configuration">Show all</a>`} />`}</div></div>`}
    </div>`}`;
}

const idOf = (/** @type {any} */ one) => one.worker_id;
const hrefOf = (/** @type {any} */ one) => `/configuration/${one.worker_id}`;

/** @param {any} one */
function covers(one) {
  const words = [one.worker_id, one.spec?.name, one.source.file, ...Object.entries(one.spec?.labels ?? {}).map((pair) => pair.join("="))];
  const is = params("is");
  return words.join(" ").toLowerCase().includes(param("q").trim().toLowerCase()) && (is.length === 0 || is.includes(one.valid ? "valid" : "invalid"));
}

/** @type {import("../parts/table.mjs").Column[]} */
const COLUMNS = [
  {id: "worker", label: "Worker", class: "head whole", width: 250, cell: (one) => html`<a class="name" href=${hrefOf(one)}>${one.worker_id}</a>
    ${one.spec?.name && html`<div class="name-more">${oneLine(one.spec.name, 60)}</div>`}`},
  {id: "file", label: "File", class: "grow half", cell: (one) => html`<span class="mono">${where(one.source)}</span>${one.source.commit && html` <${Tag}>${one.source.commit.slice(0, 8)}<//>`}`},
  {id: "asks", label: "Asks for", class: "half", width: 170, cell: asks},
  {id: "set", label: "Set", class: "num half", width: 80, cell: (one) => (one.spec ? plural(one.explicit.length, "field") : html`<span class="muted">\u2013</span>`)},
  {id: "revision", label: "Revision", class: "nowrap half", width: 130, cell: (one) => (one.revision ? html`<span
    class="mono muted">${one.revision.slice(0, 10)}</span>` : html`<span class="muted">none yet</span>`)},
  {id: "valid", label: "Is", class: "nowrap half", width: 130, cell: (one) => (one.valid
    ? html`<${Tag} tone="good">valid<//>` : html`<${Tag} tone="bad">${plural(one.problems.length, "problem")}<//>`)},
];

/** @param {any} one */
function asks(one) {
  if (!one.spec) return html`<span class="muted">not known</span>`;
  const state = one.spec.desired_state ?? (one.spec.auto_start ? "running" : "left as it is");
  return state === "running" ? `${plural(one.spec.replicas, "instance")} running` : state;
}

/** What has to be mended, and where. @param {{items: any[], strays: any[]}} props */
function Faulty({items, strays}) {
  const number = items.reduce((sum, one) => sum + one.problems.length, 0) + strays.length;
  if (number === 0) return null;
  return html`<section class="card conf-faulty" aria-label="Problems"><header class="card-head"><h2>${plural(number, "problem")} to mend</h2>
      <span class="card-aside">what is good of these files goes on</span></header>
    <ul>${items.map((one) => html`<li key=${one.worker_id}><p class="conf-faulty-head"><a class="name" href=${hrefOf(one)}>${one.worker_id}</a>
        <span class="muted">${one.spec ? "its last good spec goes on" : "it never had a good spec"}</span>
        ${mayAct.value && html`<a class="button small" href=${hrefOf(one)}>Mend it</a>`}</p>
      <${Faults} problems=${one.problems} /></li>`)}
      ${strays.length > 0 && html`<li><p class="conf-faulty-head"><strong>Files that cannot be read</strong> <span class="muted">correct them where they
        are</span></p><${Faults} problems=${strays} /></li>`}</ul>
  </section>`;
}

function NoSpecs() {
  return html`<div class="card"><${Empty} title="No specs yet" actions=${mayAct.value && MORE}>
    A spec says what a worker is asked to be: its command, how many, when it is started again. It is a document of a YAML file in the
    directory that <code>workerctl serve</code> was started with; this much is enough:
    <${Snippet} name="hello.yaml" text=${"worker_id: hello\ncommand: while :; do date; sleep 5; done\n"} /><//></div>`;
}
