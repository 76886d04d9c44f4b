// Applying a spec and deleting one: what will happen is said first, with the same as a command, then done; with what
// takes it back.
import {html, useEffect, useState} from "../html.mjs";
import {asCurl, quoted, send} from "../api.mjs";
import {go} from "../router.mjs";
import {put} from "../spec-draft.mjs";
import {visible} from "../text.mjs";
import {AsCommand} from "./copy.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {Diff} from "./diff.mjs";
import {Loading} from "./empty.mjs";
import {ErrorNotice, toast, toastError} from "./notice.mjs";
import {consequences} from "./spec-plan.mjs";

/** @param {import("../spec-draft.mjs").SpecDraft} draft @param {() => void} onApplied */
export function confirmApply(draft, onApplied) {
  open(html`<${ApplyDialog} draft=${draft} onApplied=${onApplied} />`);
}

/** @param {{draft: import("../spec-draft.mjs").SpecDraft, onApplied: () => void}} props */
function ApplyDialog({draft, onApplied}) {
  const [isBusy, setBusy] = useState(false);
  const {plan, base, text, document, isRewritten, failure} = draft.state.value;
  const name = draft.id ?? document.worker_id;
  const isNew = base.etag === "";
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    const refused = await draft.apply();
    setBusy(false);
    if (refused === "refused" && draft.state.value.failure) return;
    closeDialog();
    if (!refused) onApplied();
  };
  return html`<${Dialog} title=${isNew ? `Create ${name}` : `Change ${name}`} size="wide">
    <form id="apply" class="stack" onSubmit=${submit}>
      <ul class="points">${consequences(plan, true).map((one) => html`<li key=${one}>${one}</li>`)}
        <li>${isNew ? `Writes ${name}.yaml into the specs directory.` : `Writes ${base.file}, of it this spec alone.`}</li>
        ${isRewritten && html`<li><strong>Comments of this spec go: no smaller edit says what the form says.</strong></li>`}</ul>
      ${!isNew && html`<${Diff} before=${base.text} after=${text} label=${`Changes of ${base.file}`} names=${["Now", "then"]} around=${2} />`}
      <${ErrorNotice} error=${failure} />
      <${AsCommand} cli=${`workerctl apply -f ${name}.yaml`} curl=${curlOf(name, base)} />
      <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
        <button type="submit" class="button primary" disabled=${isBusy} autofocus>${isNew ? "Create" : "Apply"}</button></div>
    </form>
  <//>`;
}

/** @param {string} name @param {any} base */
function curlOf(name, base) {
  const seen = base.etag ? {"If-Match": base.etag} : {"If-None-Match": "*"};
  const head = asCurl("PUT", `/worker-configs/${name}`, {headers: {...seen, "Content-Type": "application/yaml"}});
  return `${head} --data-binary @${quoted(`${name}.yaml`)}`;
}

/**
 * Told when it is done; Undo brings back what was, unless somebody has changed it since.
 * @param {string} name @param {any} base what it was @param {string} written the etag of what it is
 * @param {(etag: string) => void} [again] to look anew
 */
export function tellApplied(name, base, written, again) {
  const isNew = base.etag === "";
  const back = async () => {
    try {
      const seen = {"If-Match": written};
      const {etag} = await (isNew ? send("DELETE", `/worker-configs/${name}`, undefined, {headers: seen}) : put(name, base.text, seen));
      toast({tone: "good", text: html`<strong>${name}</strong> is as it was.`});
      if (isNew) go("/configuration");
      else again?.(etag);
    } catch (error) {
      toastError(error);
    }
  };
  toast({
    tone: "good", text: html`<strong>${name}</strong> was ${isNew ? "created" : "changed"}.`, href: isNew ? undefined : `/workers/${name}`,
    action: {label: "Undo", run: back},
  });
}

/** @param {import("../spec-draft.mjs").SpecDraft} draft @param {() => void} onDone */
export function confirmDelete(draft, onDone) {
  open(html`<${DeleteDialog} draft=${draft} name=${draft.id} onDone=${onDone} />`);
}

/** @param {{draft: import("../spec-draft.mjs").SpecDraft, name: string, onDone: () => void}} props */
function DeleteDialog({draft, name, onDone}) {
  const [base, setBase] = useState(draft.state.value.base);
  const [told, setTold] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [typed, setTyped] = useState("");
  const headers = base.etag ? {"If-Match": base.etag} : {};
  useEffect(() => {
    draft.now().then(({side}) => setBase(side), () => {})
      .then(() => send("DELETE", `/worker-configs/${name}`, undefined, {query: {dry_run: 1}})).then(({data}) => setTold(data), setError);
  }, []);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await send("DELETE", `/worker-configs/${name}`, undefined, {headers});
    } catch (refused) {
      setError(refused);
      return;
    }
    closeDialog();
    onDone();
    tellDeleted(name, base.text);
  };
  return html`<${Dialog} title=${`Delete ${name}`}>
    <form class="stack" onSubmit=${submit}>
      ${told ? html`<ul class="points">${consequences(told.plan, true).map((one) => html`<li key=${one}>${one}</li>`)}
        <li>Its spec is taken out of ${visible(base.file || "its file")}; a file that holds nothing else goes with it.</li>
        <li>Its events and log lines stay as long as they are kept.</li></ul>` : !error && html`<${Loading} rows=${2} />`}
      <${ErrorNotice} error=${error} />
      <label class="field"><span>Type <code>${name}</code> to delete it</span>
        <input name="name" autocomplete="off" autocapitalize="off" spellcheck=${false} autofocus value=${typed} onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} /></label>
      <${AsCommand} cli=${`workerctl delete ${name}`} curl=${asCurl("DELETE", `/worker-configs/${name}`, {headers})} />
      <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
        <button type="submit" class="button primary harsh" disabled=${typed !== name || !told}>Delete</button></div>
    </form>
  <//>`;
}

/** A spec whose values were hidden cannot be brought back from what was shown of it. @param {string} name @param {string} text */
function tellDeleted(name, text) {
  const back = async () => {
    try {
      await put(name, text, {"If-None-Match": "*"});
      toast({tone: "good", text: html`<strong>${name}</strong> is back, in a file of its own.`, href: `/workers/${name}`});
    } catch (error) {
      toastError(error);
    }
  };
  const isWhole = text !== "" && !text.includes("***");
  toast({tone: "good", text: html`The spec of <strong>${name}</strong> is deleted.`, action: isWhole ? {label: "Undo", run: back} : undefined});
}

