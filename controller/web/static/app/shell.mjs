// The frame around every screen: navigation, what the connection is like, the palette, toasts and dialogs; and the one
// place where the window's title and icon say how many workers need attention.
import {cls, effect, html, signal, useEffect, useRef, useState} from "./html.mjs";
import {addKeys, useCommands, useKeys} from "./keys.mjs";
import {go, place, withQuery} from "./router.mjs";
import {exists, match, SCREENS} from "./screens.mjs";
import {logOut, mayAct, needsLogin, who} from "./session.mjs";
import {connection, connect, heardAt, loaded} from "./stream.mjs";
import {failing, workers} from "./store.mjs";
import {setTheme, theme} from "./theme.mjs";
import {now} from "./time.mjs";
import {roughly} from "./format.mjs";
import {sensible} from "./parts/menu.mjs";
import {confirmAction} from "./parts/confirm.mjs";
import {DialogPlace} from "./parts/dialog.mjs";
import {ErrorNotice, Toasts} from "./parts/notice.mjs";
import {Icon} from "./parts/icon.mjs";
import {Loading} from "./parts/empty.mjs";
import {openHelp, openPalette} from "./parts/palette.mjs";
import {Login} from "./login.mjs";

/** What the title says of the place; a screen of one worker sets it to the worker's name. */
export const heading = signal("");

/** @param {string} text the title while a component is shown */
export function useHeading(text) {
  useEffect(() => {
    heading.value = text;
    return () => {
      heading.value = "";
    };
  }, [text]);
}

effect(() => {
  const number = failing.value.length;
  const name = heading.value || match(place.value.path).screen.title;
  document.title = `${number ? `(${number}) ` : ""}${needsLogin.value ? "Log in" : name} \u00b7 workerctl`;
});

let iconShows = "";
effect(() => {
  const state = failing.value.length > 0 ? "bad" : "good";
  if (state === iconShows) return;
  iconShows = state;
  const dot = state === "bad" ? "<circle cx='25' cy='7' r='7' fill='%23e5484d' stroke='white' stroke-width='2'/>" : "";
  const icon = document.querySelector("link[rel=icon]");
  const mark = "<rect width='32' height='32' rx='8' fill='%231d2127'/><path d='M7 11l3.4 11L16 12.5 21.6 22 25 11' fill='none' stroke='white' stroke-width='2.6' stroke-linecap='round' stroke-linejoin='round'/>";
  icon?.setAttribute("href", `data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>${mark}${dot}</svg>`);
});

addKeys([
  {keys: "Mod k", does: "Search or run a command", group: "Everywhere", run: openPalette},
  {keys: ":", does: "Search or run a command", group: "Everywhere", run: openPalette},
  {keys: "?", does: "Show these keys", group: "Everywhere", run: openHelp},
  ...SCREENS.filter((one) => one.key).map((one) => ({keys: `g ${one.key}`, does: one.title, group: "Go to", run: () => go(one.path)})),
]);

export function Shell() {
  const isKiosk = place.value.query.get("kiosk") === "1";
  const [isOpen, setOpen] = useState(false);
  useCommands(everywhere);
  useKeys([{keys: "Escape", does: "Close", group: "Everywhere", run: () => {
    setOpen(false);
    if (isKiosk) go(withQuery({kiosk: null}), {replace: true, keepScroll: true});
  }}], [isKiosk]);
  useEffect(() => setOpen(false), [place.value]);
  useEffect(() => {
    if (!needsLogin.value && who.value && connection.value === "reconnecting") connect();
  }, [needsLogin.value]);
  if (needsLogin.value) return html`<${Login} /><${Toasts} />`;
  return html`
    <a class="skip" href="#main" onClick=${toMain}>Skip to the content</a>
    <div class=${cls("shell", isKiosk && "kiosk")}>
      ${!isKiosk && html`<header class="top">
        <button class="button icon-only plain burger" aria-label="Navigation" aria-expanded=${isOpen} aria-controls="nav" onClick=${() => setOpen(!isOpen)}><${Icon} name=${isOpen ? "close" : "menu"} /></button>
        <a class="brand" href="/" aria-label="workerctl, to the overview"><${Mark} /><span>workerctl</span></a>
        <button class="palette-button" onClick=${openPalette}><${Icon} name="search" /><span>Search or run a command</span><kbd>${/Mac/.test(navigator.platform) ? "\u2318" : "Ctrl"} K</kbd></button>
        <${Connection} />
        <${Person} />
      </header>
      <${Navigation} isOpen=${isOpen} />`}
      <main id="main" tabindex="-1" aria-labelledby="title"><${Banner} /><${CurrentScreen} /></main>
    </div>
    <${Toasts} /><${DialogPlace} />`;
}

/** @param {Event} event */
function toMain(event) {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function Mark() {
  return html`<svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8" /><path d="M7 11l3.4 11L16 12.5 21.6 22 25 11" /></svg>`;
}

/** @param {{isOpen: boolean}} props */
function Navigation({isOpen}) {
  const path = place.value.path;
  const isHere = (/** @type {string} */ to) => (to === "/" ? path === "/" : path === to || path.startsWith(`${to}/`));
  const number = failing.value.length;
  return html`<nav id="nav" class=${cls("nav", isOpen && "open")} aria-label="Screens"><ul>
    ${SCREENS.filter((one) => one.icon).map((one) => html`<li key=${one.path}><a href=${one.path} aria-current=${isHere(one.path) ? "page" : undefined}>
      <${Icon} name=${one.icon} /><span>${one.title}</span>
      ${one.path === "/workers" && number > 0 && html`<span class="nav-count" title=${`${number} need attention`}>${number}<span class="unseen"> need attention</span></span>`}
    </a></li>`)}</ul></nav>`;
}

/** "Live", "Reconnecting", "Paused": with how old what is shown is. */
function Connection() {
  const state = connection.value;
  const words = {connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", paused: "Paused"};
  return html`<span class=${`connection c-${state}`} role="status"><span class="dot" aria-hidden="true"></span>${words[/** @type {"live"} */ (state)]}</span>`;
}

const STALE_S = 5;

/** Shown once what stands on the screen may no longer be so. */
function Banner() {
  if (connection.value === "live" || connection.value === "connecting") return null;
  const age = Math.floor((now.value - heardAt.value) / 1000);
  if (age < STALE_S) return null;
  return html`<div class="stale" role="alert"><strong>Data is ${roughly(age)} old.</strong> The controller cannot be reached; workers go on without it. Trying again\u2026</div>`;
}

const THEMES = [["light", "Light", "sun"], ["dark", "Dark", "moon"], ["system", "As the system", "system"]];

function Person() {
  const next = {light: "dark", dark: "system", system: "light"}[theme.value];
  const current = THEMES.find(([name]) => name === theme.value) ?? THEMES[2];
  const person = who.value;
  return html`<span class="person">
    <button class="button icon-only plain" aria-label=${`Theme: ${current[1]}. Change`} title=${`Theme: ${current[1]}`} onClick=${() => setTheme(/** @type {any} */ (next))}><${Icon} name=${current[2]} /></button>
    ${person && html`<span class="who" title=${`Logged in as ${person.name} (${person.role}), by ${person.via}`}>${person.name}${person.role === "viewer" && html`<span class="tag">read only</span>`}</span>`}
    ${person?.via === "session" && html`<button class="button small plain" onClick=${() => logOut()}>Log out</button>`}
  </span>`;
}

/** The commands of every screen. @returns {import("./keys.mjs").Command[]} */
function everywhere() {
  const screens = SCREENS.filter((one) => one.icon).map((one) => ({group: "Go to", label: one.title, href: one.path, hint: one.key && `g ${one.key}`}));
  const all = [...workers.value.values()];
  const places = all.map((one) => ({group: "Worker", label: one.worker_id, words: `${one.name} ${one.status}`, href: `/workers/${one.worker_id}`}));
  const logs = all.map((one) => ({group: "Logs", label: `Logs of ${one.worker_id}`, href: `/workers/${one.worker_id}/logs`}));
  const verbs = {restart: "Restart", stop: "Stop", start: "Start", resume: "Resume"};
  const acts = mayAct.value ? all.flatMap((one) => sensible(one).map((action) => ({group: "Do", label: `${verbs[action]} ${one.worker_id}`, run: () => confirmAction(action, [one])}))) : [];
  const looks = THEMES.map(([name, label]) => ({group: "Theme", label: `Theme: ${label}`, run: () => setTheme(/** @type {any} */ (name))}));
  const specs = mayAct.value && exists("/configuration/new") ? [
    {group: "Do", label: "New worker", words: "create spec configuration", href: "/configuration/new"},
    ...all.map((one) => ({group: "Do", label: `Edit ${one.worker_id}`, words: "spec configuration", href: `/configuration/${one.worker_id}`})),
  ] : [];
  return [...screens, ...places, ...acts, ...specs, ...logs, ...looks, {group: "Look", label: "Wall view: this screen without controls (Esc ends it)", words: "kiosk full screen tv", href: withQuery({kiosk: 1})}, {group: "Help", label: "Keys", hint: "?", run: openHelp}];
}

/** The screen of this place, loaded when it is opened. What it throws while it is drawn does not take the frame along. */
function CurrentScreen() {
  const {screen, params} = match(place.value.path);
  const [state, setState] = useState(/** @type {any} */ ({}));
  const path = useRef(place.value.path);
  useEffect(() => {
    let isWanted = true;
    screen.load().then(
      (module) => isWanted && setState({screen, component: module.default}),
      (error) => isWanted && setState({screen, error}),
    );
    return () => {
      isWanted = false;
    };
  }, [screen]);
  useEffect(() => {
    // Who listens is told where they are now; who looks keeps what they had under their hands.
    if (path.current !== place.value.path) document.getElementById("title")?.focus({preventScroll: true});
    path.current = place.value.path;
  }, [place.value.path, state]);
  if (state.error) {
    const error = {message: "This screen could not be loaded; the controller may have been upgraded."};
    return html`<${ErrorNotice} error=${error} retry=${() => location.reload()} />`;
  }
  if (!state.component || state.screen.load !== screen.load && state.screen !== screen) return html`<${Loading} rows=${6} />`;
  if (!loaded.value && connection.value !== "reconnecting") return html`<${Loading} rows=${6} />`;
  const Screen = state.component;
  return html`<${Screen} params=${params} />`;
}
