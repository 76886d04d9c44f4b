// Going back to a spec that held before: says what that would change, as the controller judges it, then writes it into the
// file as any edit is written. Nobody's edit in between is lost: the file must still be the one that was looked at.
import {html, useEffect, useState} from "../html.mjs";
import {asCurl, ask, send} from "../api.mjs";
import {authorOf} from "../spec-history.mjs";
import {oneLine, visible} from "../text.mjs";
import {AsCommand} from "./copy.mjs";
import {fieldDiff} from "./diff.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {Loading} from "./empty.mjs";
import {FieldChanges} from "./field-changes.mjs";
import {ErrorNotice, toast, toastError} from "./notice.mjs";
import {When} from "./when.mjs";

/** @param {string} id @param {any} revision of its history */
export const goBack = (id, revision) => open(html`<${GoBack} id=${id} revision=${revision} />`);

/** The spec and the ETag now; nulls where there is none. @param {string} id */
async function present(id) {
  try {
    const response = await ask("GET", `/worker-configs/${id}`);
    return {config: await response.json(), etag: response.headers.get("ETag") ?? ""};
  } catch (error) {
    if (/** @type {any} */ (error).status === 404) return {config: null, etag: ""};
    throw error;
  }
}

/** @param {string} id @param {any} spec @param {string} etag @param {boolean} isTrial */
function write(id, spec, etag, isTrial) {
  return send("PUT", `/worker-configs/${id}`, spec, {query: isTrial ? {dry_run: 1} : {}, headers: onlyIf(etag)});
}

/** The file must be the one that was seen, or none. @param {string} etag @returns {Record<string, string>} */
const onlyIf = (etag) => (etag ? {"If-Match": etag} : {"If-None-Match": "*"});

/** @param {any} spec */
const bodyOf = (spec) => Object.fromEntries(Object.entries(spec).filter(([name]) => name !== "kind"));

/** @param {{id: string, revision: any}} props */
function GoBack({id, revision}) {
  const [state, setState] = useState(/** @type {any} */ ({phase: "looking"}));
  const [turn, setTurn] = useState(0);
  const spec = bodyOf(revision.spec);
  useEffect(() => {
    let isOver = false;
    setState({phase: "looking"});
    (async () => {
      const now = await present(id);
      const trial = (await write(id, spec, now.etag, true)).data;
      if (!isOver) setState({phase: "ready", now, trial});
    })().catch((error) => isOver || setState({phase: "refused", error}));
    return () => {
      isOver = true;
    };
  }, [id, turn]);
  const {who} = authorOf(revision);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setState({...state, isBusy: true});
    try {
      await write(id, spec, state.now.etag, false);
      closeDialog();
      told(id, state.now, revision);
    } catch (error) {
      setState({phase: "refused", error});
    }
  };
  return html`<${Dialog} title=${`Go back to the spec of ${new Date(revision.at).toLocaleString("en-GB", {dateStyle: "medium", timeStyle: "short"})}?`} size="wide">
    <form onSubmit=${submit} class="stack">
      <p class="muted">It was accepted <${When} at=${revision.at} />${who ? html`, from <bdi>${visible(who)}</bdi>` : ""}, as revision <code>${revision.revision}</code>.
        Going back is an edit of its file like any other: it stands in its history, and can be taken back.</p>
      ${state.phase === "looking" && html`<${Loading} rows=${3} label="Looking what it would change" />`}
      ${state.phase === "refused" && html`<${ErrorNotice} error=${state.error} retry=${() => setTurn(turn + 1)} />${hintOf(state.error)}`}
      ${state.phase === "ready" && html`<${Brings} id=${id} now=${state.now} trial=${state.trial} />
        <${AsCommand} cli=${`workerctl edit ${id}`} curl=${asCurl("PUT", `/worker-configs/${id}`, {body: spec, headers: onlyIf(state.now.etag)})} />`}
      <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button>
        <button type="submit" class="button primary" disabled=${state.phase !== "ready" || !state.trial.changed || state.isBusy}>
          ${state.now && !state.now.config ? "Create it again" : "Go back"}</button></div>
    </form><//>`;
}

/** What somebody set. @param {any} config */
const setOf = (config) => (config?.spec ? Object.fromEntries(config.explicit.map((/** @type {string} */ name) => [name, config.spec[name]])) : {});

/** What it changes, and what that does to what runs now. @param {{id: string, now: any, trial: any}} props */
function Brings({id, now, trial}) {
  const actions = trial.plan.actions.filter((/** @type {any} */ one) => one.worker_id === id);
  const holds = trial.plan.holds.filter((/** @type {any} */ one) => one.worker_id === id);
  const effects = new Map([...actions, ...holds].flatMap((/** @type {any} */ one) => one.fields ?? []).map((one) => [one.path, one.effect]));
  const fields = trial.config ? fieldDiff(setOf(now.config), setOf(trial.config)).filter((one) => one.kind !== "same")
    .map((one) => ({path: one.path, from: one.before ?? null, to: one.after ?? null, effect: effects.get(one.path) ?? "none"})) : [];
  if (!trial.changed) return html`<p>Its file says this already: nothing would change.</p>`;
  return html`<div class="stack">
    ${now.config === null && html`<p>Its spec is gone: it is written anew, into <code>${id}.yaml</code>.</p>`}
    ${now.config && fields.length > 0 && html`<${FieldChanges} fields=${fields} />`}
    <ul class="points">${actions.length ? actions.slice(0, 8).map((/** @type {any} */ one) => html`<li key=${one.instance}><strong>${one.action}</strong> ${one.instance}
      ${one.cause && html` <span class="muted">${oneLine(one.cause, 120)}</span>`}</li>`)
      : html`<li>${fields.length ? "No process is touched." : "Only its file changes: no process notices."}</li>`}
      ${actions.length > 8 && html`<li class="muted">and ${actions.length - 8} more</li>`}
      ${holds.map((/** @type {any} */ one) => html`<li key=${one.message}>${oneLine(one.message)}</li>`)}</ul></div>`;
}

/** What to do about a refusal. @param {any} error */
function hintOf(error) {
  if (error.status === 412) return html`<p>Somebody edited the file meanwhile: <em>Try again</em> looks at it as it is now.</p>`;
  if (error.errors?.some((/** @type {any} */ one) => /hidden value/.test(one.message))) {
    return html`<p>This spec had a secret that its file does not hold any more, and history keeps none: write it by hand.</p>`;
  }
  return null;
}

/** @param {string} id @param {any} before @param {any} revision */
function told(id, before, revision) {
  const was = before.config?.spec && setOf(before.config);
  const undo = async () => write(id, bodyOf(was), (await present(id)).etag, false).catch(toastError);
  const at = new Date(revision.at).toLocaleString("en-GB", {dateStyle: "short", timeStyle: "short"});
  toast({tone: "good", text: html`<strong>${id}</strong> has its spec of ${at} again.`,
    action: was ? {label: "Undo", run: undo} : undefined});
}
