// Actions on workers: the buttons of a worker's page, and the menu of a row. Nobody who may not act sees any of it.
import {html, useEffect, useId, useRef, useState} from "../html.mjs";
import {exists} from "../screens.mjs";
import {mayAct} from "../session.mjs";
import {isSuspended} from "../status.mjs";
import {confirmAction} from "./confirm.mjs";
import {Icon} from "./icon.mjs";

/** What makes sense for a worker now. @param {any} worker @returns {("restart"|"stop"|"start"|"resume")[]} */
export function sensible(worker) {
  if (worker.desired_state === "absent") return [];
  if (isSuspended(worker)) return ["resume", worker.desired_state === "running" ? "restart" : "start"];
  return worker.desired_state === "running" ? ["restart", "stop"] : ["start"];
}

const LABELS = {restart: "Restart", stop: "Stop", start: "Start", resume: "Resume"};
const ICONS = {restart: "restart", stop: "stop", start: "start", resume: "start"};

/** Buttons. @param {{worker: any}} props */
export function ActionButtons({worker}) {
  if (!mayAct.value) return null;
  return html`${sensible(worker).map((action) => html`<button key=${action} class="button" onClick=${() => confirmAction(action, [worker])}>
    <${Icon} name=${ICONS[action]} />${LABELS[action]}</button>`)}${mayEdit(worker) && html`<a class="button" href=${`/configuration/${worker.worker_id}`}><${Icon}
    name="configuration" />Edit</a>`}`;
}

/** @param {any} worker */
const mayEdit = (worker) => worker.desired_state !== "absent" && exists(`/configuration/${worker.worker_id}`);

/**
 * A button that opens a list of choices. Arrow keys move, Escape closes.
 * @param {{label: string, items: {label: any, icon?: string, href?: string, run?: () => void}[], children?: any, class?: string}} props
 */
export function Menu({label, items, children, class: name = "button icon-only plain"}) {
  const [isOpen, setOpen] = useState(false);
  const id = useId();
  const root = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (!isOpen) return undefined;
    placeBeside(root.current.querySelector("[role=menu]"), root.current);
    root.current.querySelector("[role=menuitem]")?.focus();
    const outside = (/** @type {Event} */ event) => root.current?.contains(event.target) || setOpen(false);
    const moved = () => setOpen(false);
    document.addEventListener("pointerdown", outside);
    addEventListener("scroll", moved, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      removeEventListener("scroll", moved, true);
    };
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    root.current.querySelector("button").focus();
  };
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (!isOpen) return;
    const all = [...root.current.querySelectorAll("[role=menuitem]")];
    const at = all.indexOf(document.activeElement);
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Tab") setOpen(false);
    else if (to !== undefined) all.at(to % all.length).focus();
    else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };
  const pick = (/** @type {any} */ item) => {
    close();
    item.run?.();
  };
  return html`<span class="menu" ref=${root} onKeyDown=${onKeyDown}>
    <button class=${name} aria-haspopup="menu" aria-expanded=${isOpen} aria-controls=${isOpen ? id : undefined} aria-label=${children ? undefined : label}
      onClick=${() => setOpen(!isOpen)}>${children ?? html`<${Icon} name="more" />`}</button>
    ${isOpen && html`<div class="menu-list" role="menu" id=${id} aria-label=${label}>${items.map((item, index) => item.href
      ? html`<a key=${index} role="menuitem" tabindex="-1" href=${item.href} onClick=${() => setOpen(false)}>${item.icon && html`<${Icon} name=${item.icon} />`}${item.label}</a>`
      : html`<button key=${index} role="menuitem" tabindex="-1" onClick=${() => pick(item)}>${item.icon && html`<${Icon} name=${item.icon} />`}${item.label}</button>`)}</div>`}
  </span>`;
}

/** In the top layer, so that no box cuts it: below the button, or above it where there is no room. @param {any} list @param {Element} button */
function placeBeside(list, button) {
  list.popover = "manual";
  list.showPopover();
  const [at, size] = [button.getBoundingClientRect(), list.getBoundingClientRect()];
  const isBelow = at.bottom + 4 + size.height <= innerHeight;
  list.style.top = `${isBelow ? at.bottom + 4 : Math.max(4, at.top - 4 - size.height)}px`;
  list.style.left = `${Math.max(4, Math.min(at.right, innerWidth - 4) - size.width)}px`;
}

/** The menu of one worker's row. @param {{worker: any}} props */
export function WorkerMenu({worker}) {
  const to = `/workers/${worker.worker_id}`;
  const acts = mayAct.value ? sensible(worker).map((action) => ({label: `${LABELS[action]}\u2026`, icon: ICONS[action], run: () => confirmAction(action, [worker])})) : [];
  if (mayAct.value && mayEdit(worker)) acts.push(/** @type {any} */ ({label: "Edit", icon: "configuration", href: `/configuration/${worker.worker_id}`}));
  return html`<${Menu} label=${`Actions of ${worker.worker_id}`} items=${[...acts, {label: "Logs", icon: "logs", href: `${to}/logs`}, {label: "Events", icon: "events", href: `${to}/events`}, ...(exists(`${to}/spec`) ? [{label: "Spec", icon: "configuration", href: `${to}/spec`}] : [])]} />`;
}
