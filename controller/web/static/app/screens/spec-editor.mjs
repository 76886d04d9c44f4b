// One spec, new or known: its form and its YAML side by side, what is wrong with it, and what it would bring; applied
// only when a person has seen that. Who may not act reads it.
import {cls, computed, html, useCallback, useEffect, useMemo, useRef, useState} from "../html.mjs";
import {plural} from "../format.mjs";
import {useCommands, useKeys} from "../keys.mjs";
import {go, place, useStay} from "../router.mjs";
import {exists} from "../screens.mjs";
import {mayAct} from "../session.mjs";
import {SpecDraft} from "../spec-draft.mjs";
import {groupsOf, pathOf, pointerOf} from "../spec-schema.mjs";
import {workerOf} from "../store.mjs";
import {visible} from "../text.mjs";
import {useHeading} from "../shell.mjs";
import {Tag} from "../parts/badge.mjs";
import {Empty, Loading} from "../parts/empty.mjs";
import {Menu} from "../parts/menu.mjs";
import {ErrorNotice, Notice, toast} from "../parts/notice.mjs";
import {PageHead, useFetched} from "../parts/page.mjs";
import {confirmApply, confirmDelete, tellApplied} from "../parts/spec-actions.mjs";
import {SpecConflict} from "../parts/spec-conflict.mjs";
import {SpecForm, wanted as wantedField} from "../parts/spec-form.mjs";
import {SpecPlan} from "../parts/spec-plan.mjs";
import {SpecRead} from "../parts/spec-read.mjs";
import {showLine, SpecProblems, SpecText} from "../parts/spec-text.mjs";

/** @param {{params: Record<string, string>}} props */
export default function SpecEditor({params}) {
  const id = params.id ?? null;
  useHeading(id ?? "New worker");
  if (!mayAct.value) return id === null ? html`<${NotYours} />` : html`<${SpecRead} id=${id} />`;
  return html`<${Editor} key=${id ?? ""} id=${id} />`;
}

/** @param {{id: string|null}} props */
function Editor({id}) {
  const draft = useMemo(() => new SpecDraft(id), [id]);
  const {data: schema, error} = useFetched("/schema");
  const state = draft.state.value;
  const [side, setSide] = useState("form");
  const area = useRef(/** @type {any} */ (null));
  useEffect(() => {
    draft.load();
    return () => draft.stop();
  }, [draft]);
  useOthers(draft, id);
  useStay(useCallback(() => (draft.isDirty ? "What you typed is not applied. It is kept in this tab. Leave?" : null), [draft]));
  useDeepLink(schema, state.phase === "ready");
  const show = (/** @type {any} */ problem) => {
    const field = problem.pointer && fieldAt(schema, problem.pointer);
    if (problem.line && (side === "yaml" || !field)) {
      setSide("yaml");
      requestAnimationFrame(() => showLine(area.current, problem.line, problem.column));
    } else if (field) {
      setSide("form");
      requestAnimationFrame(field);
    }
  };
  if (error || state.phase === "failed") return html`<${Unreadable} id=${id} error=${error ?? state.failure} />`;
  const name = id ?? (typeof state.document.worker_id === "string" ? state.document.worker_id : "");
  return html`<${Head} id=${id} draft=${draft} name=${name} />
    ${schema === null || state.phase === "loading" ? html`<${Loading} rows=${8} />` : html`
      <${Notices} draft=${draft} />
      ${state.conflict ? html`<${SpecConflict} draft=${draft} onDone=${(/** @type {string} */ words, /** @type {any} */ undo) => toast({text: words, action: undo && {label: "Undo", run: undo}})} />`
        : html`<div class="segments conf-sides-choice" role="group" aria-label="What is shown"><button type="button"
            aria-pressed=${side === "form"} onClick=${() => setSide("form")}>Form</button><button
            type="button" aria-pressed=${side === "yaml"} onClick=${() => setSide("yaml")}>YAML</button></div>
        <div class=${cls("conf-editor", `shows-${side}`)}>
          <${SpecForm} schema=${schema} isNew=${id === null} isReadable=${state.isReadable} form=${{
            document: state.document, base: state.base.etag ? state.base.document : null, effective: state.config?.spec, problems: state.problems,
            edit: (/** @type {any} */ path, /** @type {any} */ value) => draft.edit(path, value),
          }} />
          <div class="conf-side-text"><${SpecText} text=${state.text} problems=${state.problems} file=${state.base.file} field=${area}
              isWaiting=${draft.edits.length > 0} onType=${(/** @type {string} */ text) => draft.type(text)} /></div>
        </div>
        <${Verdict} draft=${draft} onShow=${show} />`}`}`;
}

/** Others write, too: what nobody touched here follows; what somebody did is told of. @param {SpecDraft} draft @param {string|null} id */
function useOthers(draft, id) {
  const item = useMemo(() => (id ? workerOf(id) : computed(() => null)), [id]).value;
  const mark = item && `${item.revision} ${item.desired_state} ${item.desired_replicas} ${item.name} ${item.problems.length}`;
  useEffect(() => {
    draft.look();
  }, [mark]);
}

/** @param {{id: string|null, draft: SpecDraft, name: string}} props */
function Head({id, draft, name}) {
  const {base} = draft.state.value;
  const remove = () => confirmDelete(draft, () => {
    draft.forget();
    draft.set({text: draft.state.value.base.text});
    go("/configuration");
  });
  useCommands(() => (id ? [{group: "Do", label: `Delete ${id}`, run: remove}, {group: "Go to", label: `Worker ${id}`, href: `/workers/${id}`}] : []), [id, base]);
  return html`<${PageHead} over=${html`<a href="/configuration">Configuration</a>`} title=${id ?? "New worker"}
    actions=${id && html`<a class="button" href=${`/workers/${id}`}>Worker</a><${Menu} label=${`More of ${id}`} items=${[
      ...(exists(`/workers/${id}/history`) ? [{label: "History", icon: "events", href: `/workers/${id}/history`}] : []),
      {label: "Delete\u2026", icon: "close", run: remove},
    ]} />`}>${id ? html`In <code>${visible(base.file || "its file")}</code>. The form and the file stay in step; comments stay.`
      : html`The form writes the file, and the file fills the form.${name && html` It will be <code>${visible(`${name}.yaml`)}</code>.`}`}<//>`;
}

/** @param {{draft: SpecDraft}} props */
function Notices({draft}) {
  const {isRestored, isRewritten, isGone, failure, conflict, newer} = draft.state.value;
  const throwAway = html`<button type="button" class="button small" onClick=${() => discard(draft)}>Throw it away</button>`;
  return html`<div class="conf-notices">
    ${isRestored && !conflict && html`<${Notice} title="What you typed before is still here" actions=${throwAway}>It was not applied; this tab kept it.<//>`}
    ${newer && !conflict && html`<${Notice} tone="warn" title="Somebody else changed this spec meanwhile" actions=${html`<button type="button" class="button small"
      onClick=${() => draft.compare(newer)}>See both sides</button>`}>What you typed is still here, and not applied.<//>`}
    ${isRewritten && html`<${Notice} tone="warn" title="Comments of this spec went">
      No smaller edit says what the form says (an alias is shared). Correct it in the YAML to keep them.<//>`}
    ${isGone ? html`<${Notice} tone="bad" title="Its spec is gone meanwhile" actions=${html`<button type="button" class="button small" onClick=${() => draft.anew()}>Create it anew</button>`}>
      Somebody deleted it. What you typed is still here.<//>` : failure && html`<${ErrorNotice} error=${failure} retry=${() => draft.judge()} />`}
  </div>`;
}

/** @param {SpecDraft} draft */
function discard(draft) {
  const back = draft.discard();
  toast({text: "What you typed is thrown away.", action: {label: "Undo", run: back}});
}

/** What it is worth, and what it would bring. @param {{draft: SpecDraft, onShow: (problem: any) => void}} props */
function Verdict({draft, onShow}) {
  const {problems, plan, isJudged, refusal, base, text, failure} = draft.state.value;
  const isDirty = draft.isDirty;
  const isNew = base.etag === "";
  const mayApply = isDirty && isJudged && problems.length === 0 && plan !== null && !refusal && !failure;
  const apply = () => mayApply && confirmApply(draft, () => applied(draft, base, isNew));
  useSaveKey(apply);
  useKeys([{keys: "a", does: "Apply what you typed", run: apply}], [mayApply, base]);
  if (!isDirty && problems.length === 0) {
    const hint = isNew ? "Fill in a name and a command; what it would bring appears here." : "As it stands in the file. Change something, and what that would bring appears here.";
    return html`<section class="conf-verdict is-quiet" aria-label="What it would bring"><p class="muted">${hint}</p></section>`;
  }
  const good = refusal ? "It cannot be written now" : "This would happen";
  const words = !isJudged ? "Looking at it\u2026" : problems.length ? `Not yet a valid spec: ${plural(problems.length, "problem")}` : good;
  return html`<section class=${cls("conf-verdict", isJudged && problems.length > 0 && "is-bad")} aria-label="What it would bring">
    <div class="conf-verdict-text" aria-live="polite"><h2>${words}</h2>
      ${problems.length > 0 ? html`<${SpecProblems} problems=${problems} onShow=${onShow} />`
        : refusal ? html`<p>${visible(refusal.message)}${refusal.hint && html` <span class="hint">${visible(refusal.hint)}</span>`}</p>`
        : plan && html`<${SpecPlan} plan=${plan} isChanged=${text !== base.text} />`}</div>
    <div class="conf-verdict-actions">${isDirty && html`<button type="button" class="button" onClick=${() => discard(draft)}>Discard</button>`}
      <button type="button" class="button primary" disabled=${!mayApply} onClick=${apply}>${isNew ? "Create\u2026" : "Apply\u2026"}</button></div>
  </section>`;
}

/** Ctrl S, also while one types: where it is not ready yet, at least no page is saved. @param {() => void} apply */
function useSaveKey(apply) {
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) apply();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
}

/** @param {SpecDraft} draft @param {any} base what it was @param {boolean} isNew */
async function applied(draft, base, isNew) {
  const name = draft.id ?? draft.state.value.document.worker_id;
  if (isNew) {
    draft.set({base: {...base, text: draft.state.value.text}});
    tellApplied(name, base, draft.written);
    go(`/workers/${name}`);
    return;
  }
  await draft.wrote(draft.written);
  tellApplied(name, base, draft.written, (etag) => draft.wrote(etag));
}

/** What brings a person to the field of a pointer, or to the one above it; null where the form has none. @param {any} schema @param {string} pointer */
function fieldAt(schema, pointer) {
  const path = pathOf(pointer);
  const group = groupsOf(schema).find((one) => one.fields.includes(path[0]));
  if (!group) return null;
  return () => {
    const section = document.getElementById(`group-${group.id}`);
    if (section instanceof HTMLDetailsElement) section.open = true;
    wantedField.value = path[0];
    setTimeout(() => {
      wantedField.value = "";
      for (let depth = path.length; depth > 0; depth -= 1) {
        const found = document.querySelector(`.conf-form [data-path="${CSS.escape(pointerOf(path.slice(0, depth)))}"]`);
        if (!(found instanceof HTMLElement)) continue;
        found.scrollIntoView({block: "center"});
        (found.matches("input, select, textarea, button") ? found : found.querySelector("input"))?.focus();
        return;
      }
      section?.scrollIntoView({block: "start"});
    }, 60);
  };
}

/** `?field=stop.grace_ms` goes to that field. @param {any} schema @param {boolean} isReady */
function useDeepLink(schema, isReady) {
  const wanted = place.value.query.get("field");
  useEffect(() => {
    if (schema && isReady && wanted) setTimeout(() => fieldAt(schema, pointerOf(wanted.split(".")))?.(), 0);
  }, [Boolean(schema), isReady, wanted]);
}

/** @param {{id: string|null, error: any}} props */
function Unreadable({id, error}) {
  const isUnknown = error?.status === 404;
  if (id !== null && error?.code === "broken_file") return html`<${SpecRead} id=${id} torn=${error} />`;
  return html`<${PageHead} over=${html`<a href="/configuration">Configuration</a>`} title=${id ?? "New worker"} />
    ${isUnknown ? html`<div class="card"><${Empty} title="There is no spec of this name"
      actions=${html`<a class="button" href="/configuration">All specs</a><a class="button primary" href="/configuration/new">New worker</a>`}>
      If there was one, its events and log lines are kept for a while: <a href=${`/workers/${id}`}>${visible(id)}</a>.<//></div>`
      : html`<${ErrorNotice} error=${error} retry=${() => location.reload()} />`}`;
}

function NotYours() {
  return html`<${PageHead} over=${html`<a href="/configuration">Configuration</a>`} title="New worker" />
    <div class="card"><${Empty} title="You may read here, not write" actions=${html`<a class="button" href="/configuration">All specs</a>`}>Creating a worker takes the role operator.<//></div>`;
}
