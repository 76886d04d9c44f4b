// Dialogs: the browser's own <dialog>, so focus stays within, Escape closes, and what is behind is inert. One at a time,
// opened from anywhere: `open(html...)`, or `<Dialog>` within a screen.
import {html, signal, useEffect, useId, useRef} from "../html.mjs";
import {Icon} from "./icon.mjs";

/** @type {import("../html.mjs").Signal<any>} */
const shown = signal(null);

/** Show a component that draws a `<Dialog>`. @param {any} node */
export function open(node) {
  shown.value = node;
}

export function closeDialog() {
  shown.value = null;
}

/** Whether one is shown, or will be in a moment: keys are its own from then on. */
export const isOpen = () => shown.peek() !== null;

/** Where `open` shows; once, in the shell. */
export const DialogPlace = () => shown.value;

/**
 * @param {{title: any, children: any, footer?: any, onClose?: () => void, size?: "small"|"wide"|"palette", hideTitle?: boolean}} props
 */
export function Dialog({title, children, footer, onClose = closeDialog, size = "small", hideTitle = false}) {
  const box = useRef(null);
  const id = useId();
  useEffect(() => {
    const element = /** @type {HTMLDialogElement} */ (/** @type {any} */ (box).current);
    const before = document.activeElement;
    element.showModal();
    return () => {
      element.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const onBackdrop = (/** @type {MouseEvent} */ event) => event.target === event.currentTarget && onClose();
  return html`<dialog ref=${box} class=${`dialog d-${size}`} aria-labelledby=${id} onMouseDown=${onBackdrop}
    onCancel=${(/** @type {Event} */ event) => {
      event.preventDefault();
      onClose();
    }}>
    <div class="dialog-box">
      <header class=${hideTitle ? "unseen" : "dialog-head"}>
        <h2 id=${id}>${title}</h2>
        ${!hideTitle && html`<button class="button icon-only plain" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button>`}
      </header>
      <div class="dialog-body">${children}</div>
      ${footer && html`<footer class="dialog-foot">${footer}</footer>`}
    </div>
  </dialog>`;
}
