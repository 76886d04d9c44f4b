// Begin a batch: whom it means (live), what it does, how careful it is, and the same as commands.
import {html, useState} from "../html.mjs";
import {begin, commandOf, curlOf, matching, VERBS} from "../batches.mjs";
import {plural} from "../format.mjs";
import {go} from "../router.mjs";
import {byUrgency} from "../store.mjs";
import {visible} from "../text.mjs";
import {AsCommand} from "./copy.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {ErrorNotice} from "./notice.mjs";

const MOST = 1000;

/** @param {Partial<import("../batches.mjs").BatchWish>} [given] */
export function beginBatch(given = {}) {
  open(html`<${Form} given=${given} />`);
}

/** @param {{given: any}} props */
function Form({given}) {
  const [wish, setWish] = useState(/** @type {any} */ ({
    action: "restart", by: "label", selector: "", names: [], parallel: 4, stopOnFailure: false, graceful: true, reason: "", ...given,
  }));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const set = (/** @type {any} */ changes) => setWish((/** @type {any} */ was) => ({...was, ...changes}));
  const all = byUrgency.value;
  const meant = wish.by === "label" ? matching(all, wish.selector) : all.filter((one) => wish.names.includes(one.worker_id));
  const unknown = wish.by === "names" ? wish.names.filter((/** @type {string} */ name) => !all.some((one) => one.worker_id === name)) : [];
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const batch = await begin(wish);
      closeDialog();
      go(`/batches/${batch.batch_id}`);
    } catch (refused) {
      setError(refused);
      setBusy(false);
    }
  };
  const check = (/** @type {string} */ text, /** @type {boolean} */ isOn, /** @type {(on: boolean) => any} */ change) => html`<label class="check">
    <input type="checkbox" checked=${isOn} onChange=${(/** @type {any} */ event) => set(change(event.target.checked))} />${text}</label>`;
  return html`<${Dialog} title="New batch" size="wide"><form class="stack" onSubmit=${submit}>
    <div class="batch-form">
      <label class="field"><span>What</span><select name="action" value=${wish.action} onChange=${(/** @type {any} */ event) => set({action: event.target.value})}>
        ${Object.entries(VERBS).map(([id, word]) => html`<option key=${id} value=${id}>${word}</option>`)}</select></label>
      <label class="field"><span>Whom</span><select name="by" value=${wish.by} onChange=${(/** @type {any} */ event) => set({by: event.target.value})}>
        <option value="label">All with labels</option><option value="names">By name</option></select></label>
      ${wish.by === "label"
        ? html`<label class="field wide"><span>Labels <small>key=value or key; with commas between, all of them</small></span>
          <input name="selector" list="batch-labels" value=${wish.selector} autofocus autocomplete="off" spellcheck="false" placeholder="tier=front"
            onInput=${(/** @type {any} */ event) => set({selector: event.target.value})} />
          <datalist id="batch-labels">${labels(all).map((one) => html`<option key=${one} value=${one} />`)}</datalist></label>`
        : html`<label class="field wide"><span>Names <small>with spaces or commas between</small></span>
          <textarea name="names" rows="3" autofocus spellcheck="false" onInput=${(/** @type {any} */ event) => set({names: event.target.value.split(/[\s,]+/).filter(Boolean)})}>
          ${wish.names.join("\n")}</textarea></label>`}
    </div>
    <${Meant} meant=${meant} unknown=${unknown} isAsked=${wish.by === "label" ? wish.selector.trim() !== "" : wish.names.length > 0} />
    <label class="field"><span>Reason <small>kept with the batch and its events; may stay empty</small></span>
      <input name="reason" maxlength="500" autocomplete="off" value=${wish.reason} onInput=${(/** @type {any} */ event) => set({reason: event.target.value})} /></label>
    <div class="options">
      <label class="field inline"><span>At a time</span><input type="number" name="parallel" min="1" max="100" value=${wish.parallel}
        onInput=${(/** @type {any} */ event) => set({parallel: Math.min(100, Math.max(1, Number(event.target.value) || 1))})} /></label>
      ${check("Begin no further one once one failed", wish.stopOnFailure, (on) => ({stopOnFailure: on}))}
      ${wish.action !== "start" && check("Kill at once instead of asking first", !wish.graceful, (on) => ({graceful: !on}))}
    </div>
    <${ErrorNotice} error=${error} />
    <${AsCommand} cli=${commandOf(wish)} curl=${curlOf(wish)} />
    <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
      <button type="submit" class=${`button primary ${wish.action === "stop" || !wish.graceful ? "harsh" : ""}`} disabled=${isBusy || meant.length === 0 || meant.length > MOST}>
        ${/** @type {any} */ (VERBS)[wish.action]} ${plural(meant.length, "worker")}</button></div>
  </form><//>`;
}

/** @param {any[]} workers @returns {string[]} */
const labels = (workers) => [...new Set(workers.flatMap((one) => Object.entries(one.labels).map(([key, value]) => `${key}=${value}`)))].sort();

/** Who is meant now. @param {{meant: any[], unknown: string[], isAsked: boolean}} props */
function Meant({meant, unknown, isAsked}) {
  const instances = meant.reduce((sum, one) => sum + one.instances.length, 0);
  return html`<div class="batch-meant" role="status">
    <p><strong>${plural(meant.length, "worker")}</strong> ${meant.length === 1 ? "matches" : "match"}${meant.length > 0 && html`<span
      class="muted">, ${plural(instances, "instance")}</span>`}${!isAsked && html`<span class="muted">: say whom</span>`}</p>
    ${meant.length > 0 && html`<p class="names">${meant.slice(0, 16).map((one) => html`<span class="tag" key=${one.worker_id}>${one.worker_id}</span>`)}
      ${meant.length > 16 && html`<span class="muted">and ${meant.length - 16} more</span>`}</p>`}
    ${meant.length > MOST && html`<p class="tag-bad">A batch has at most ${MOST} workers.</p>`}
    ${unknown.length > 0 && html`<p class="muted">No worker is called ${unknown.slice(0, 5).map(visible).join(", ")}.</p>`}
  </div>`;
}
