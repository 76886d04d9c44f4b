// The logs of all workers, those that are gone too: searched, counted over time, followed.
import {html, useState} from "../html.mjs";
import {setQuery} from "../router.mjs";
import {workers} from "../store.mjs";
import {Empty} from "../parts/empty.mjs";
import {ActiveFilters, param, params, SavedViews} from "../parts/filters.mjs";
import {Choice} from "../parts/log-filters.mjs";
import {LogPanel} from "../parts/log-panel.mjs";
import {PageHead} from "../parts/page.mjs";

const STREAMS = [["", "Both streams"], ["stdout", "stdout"], ["stderr", "stderr"]];

export default function Logs() {
  return html`<${PageHead} title="Logs" actions=${html`<${SavedViews} screen="logs" />`}>What all workers printed, now and before, as long as it is kept.<//>
    <${ActiveFilters} names=${["worker", "selector"]} />
    <${LogPanel} path="/logs" whose="worker" isAll label="Log of all workers" empty=${html`<${Nothing} />`}>
      <${Whose} />
      <${Choice} name="stream" label="Stream" options=${STREAMS} />
    <//>`;
}

/** Workers by name, or by a label. */
function Whose() {
  const [text, setText] = useState("");
  const names = [...workers.value.keys()].sort();
  const labels = [...new Set([...workers.value.values()].flatMap((one) => Object.entries(one.labels).map((pair) => pair.join("="))))].sort();
  const take = (/** @type {string} */ value) => {
    const wanted = value.trim();
    const isLabel = labels.includes(wanted) || wanted.includes("=");
    if (names.includes(wanted)) setQuery({worker: [...new Set([...params("worker"), wanted])]});
    else if (isLabel) setQuery({selector: [...param("selector").split(",").filter(Boolean), wanted].join(",")});
    else return setText(value);
    return setText("");
  };
  const onInput = (/** @type {any} */ event) => {
    const {value} = event.target;
    // Picked from the list, and not typed letter by letter.
    if (!event.inputType || event.inputType === "insertReplacementText") take(value);
    else setText(value);
  };
  return html`<span class="log-whose"><input list="log-whose" value=${text} aria-label="Only workers, by name or label" placeholder="Worker or label" autocomplete="off" spellcheck="false"
      onInput=${onInput} onChange=${(/** @type {any} */ event) => take(event.target.value)} onKeyDown=${(/** @type {any} */ event) => event.key === "Enter" && take(event.target.value)} />
    <datalist id="log-whose">${names.map((one) => html`<option key=${one} value=${one}></option>`)}${labels.map((one) => html`<option key=${`label ${one}`} value=${one}></option>`)}</datalist></span>`;
}

function Nothing() {
  return html`<${Empty} title="No lines yet" actions=${html`<a class="button" href="/workers">Workers</a>`}>What workers write to stdout and stderr is kept and appears here when it is printed.<//>`;
}
