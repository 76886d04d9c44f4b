// The bar above a list: text, choices of several, what is chosen as chips that go away, all of it in the URL. And views:
// a query under a name, kept by the browser.
import {html, useRef} from "../html.mjs";
import {useKeys} from "../keys.mjs";
import {place, setQuery, withQuery} from "../router.mjs";
import {stored} from "../stored.mjs";
import {visible} from "../text.mjs";
import {closeDialog, Dialog, open} from "./dialog.mjs";
import {Icon} from "./icon.mjs";
import {Menu} from "./menu.mjs";

/** The value of one parameter. @param {string} name */
export const param = (name) => place.value.query.get(name) ?? "";
/** All values of one. @param {string} name */
export const params = (name) => place.value.query.getAll(name);
/** Add or take away one of several values. @param {string} name @param {string} value */
export const toggleParam = (name, value) => {
  const now = params(name);
  setQuery({[name]: now.includes(value) ? now.filter((one) => one !== value) : [...now, value]});
};

/** Text that filters; `/` goes there. @param {{name?: string, placeholder: string, label: string}} props */
export function FilterText({name = "q", placeholder, label}) {
  const input = useRef(/** @type {any} */ (null));
  useKeys([{keys: "/", does: "Filter", group: "Lists", run: () => {
    input.current.focus();
    input.current.select();
  }}]);
  return html`<span class="filter-text"><${Icon} name="search" />
    <input ref=${input} type="search" aria-label=${label} placeholder=${placeholder} value=${param(name)} spellcheck=${false} autocomplete="off"
      onInput=${(/** @type {any} */ event) => setQuery({[name]: event.target.value})}
      onKeyDown=${(/** @type {any} */ event) => event.key === "Escape" && (event.preventDefault(), event.target.blur())} />
    <kbd aria-hidden="true">/</kbd></span>`;
}

/** One of a few values, several may be on: with how many there are. @param {{name: string, label: string, options: {value: string, label: any, count?: number}[]}} props */
export function FilterChoices({name, label, options}) {
  const on = params(name);
  return html`<div class="choices" role="group" aria-label=${label}>${options.map((one) => html`<button key=${one.value} class="choice"
    aria-pressed=${on.includes(one.value)} onClick=${() => toggleParam(name, one.value)}>${one.label}${one.count !== undefined && html`<span class="choice-count">${one.count}</span>`}</button>`)}</div>`;
}

/** What filters, as chips, with "Clear". @param {{names: string[], children?: any}} props */
export function ActiveFilters({names, children}) {
  const on = names.flatMap((name) => params(name).map((value) => ({name, value})));
  if (on.length === 0) return children ? html`<p class="active-filters">${children}</p>` : null;
  return html`<p class="active-filters">${children}
    ${on.map(({name, value}) => html`<button key=${`${name}=${value}`} class="chip" title="Remove this filter"
      onClick=${() => toggleParam(name, value)}><span class="unseen">Remove the filter </span><span class="chip-name">${name}</span>${visible(value)}<${Icon} name="close" size=${12} /></button>`)}
    <a href=${withQuery(Object.fromEntries(names.map((name) => [name, null])))}>Clear ${on.length > 1 ? `${on.length} filters` : "filter"}</a></p>`;
}

/** @param {{keep: (name: string) => void}} props */
function NameView({keep}) {
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    keep(new FormData(event.target).get("name")?.toString().trim() || "Without a name");
    closeDialog();
  };
  return html`<${Dialog} title="Keep this view"><form class="stack" onSubmit=${submit}>
    <label class="field"><span>Name <small>kept by this browser</small></span><input name="name" maxlength="40" autocomplete="off" autofocus required /></label>
    <div class="form-foot"><button type="button" class="button" onClick=${closeDialog}>Cancel</button><button class="button primary">Keep</button></div>
  </form><//>`;
}

/** @type {Map<string, import("../html.mjs").Signal<any[]>>} */
const shelves = new Map();

/** Views that are kept under a name. @param {{screen: string}} props */
export function SavedViews({screen}) {
  if (!shelves.has(screen)) shelves.set(screen, stored(`views.${screen}`, []));
  const views = /** @type {any} */ (shelves.get(screen));
  const search = place.value.query.toString();
  const known = views.value.find((/** @type {any} */ one) => one.query === search);
  const keep = (/** @type {string} */ name) => {
    views.value = [...views.value.filter((/** @type {any} */ one) => one.name !== name), {name, query: search}];
  };
  const save = () => open(html`<${NameView} keep=${keep} />`);
  const items = [
    ...views.value.map((/** @type {any} */ one) => ({label: visible(one.name), icon: one === known ? "check" : "filter", href: `${place.value.path}?${one.query}`})),
    ...(known
      ? [{label: `Forget ${visible(known.name)}`, icon: "close", run: () => {
        views.value = views.value.filter((/** @type {any} */ one) => one !== known);
      }}]
      : search ? [{label: "Keep these filters\u2026", icon: "check", run: save}] : []),
  ];
  if (items.length === 0) return null;
  return html`<${Menu} label="Saved views" class="button" items=${items}>${known ? visible(known.name) : "Views"}<${Icon} name="down" /><//>`;
}
