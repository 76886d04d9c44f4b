// What there is to read: the topics with their headings, and the fields of a spec. Fetched once, when it is first asked
// for; it cannot change while the controller runs.
import {signal} from "./html.mjs";
import {get} from "./api.mjs";

/** @typedef {{topic: string, title: string, headings: {level: number, title: string, anchor: string}[]}} Topic */
/** Null until they are here. @type {import("./html.mjs").Signal<Topic[]|null>} */
export const topics = signal(null);
/** All fields, those of groups after their group. @type {import("./html.mjs").Signal<any[]|null>} */
export const fields = signal(null);
/** Why not. @type {import("./html.mjs").Signal<any>} */
export const trouble = signal(null);

/** In the order in which they are read. What is in none of them comes last. */
const SHELVES = [
  ["Begin", ["getting-started", "how-it-works"]],
  ["Workers", ["specs", "processes", "why-not-running", "error-messages"]],
  ["From outside", ["cli", "api"]],
  ["Run it", ["operations", "performance", "reliability", "not-yet"]],
];

let isAsked = false;

/** Fetch both. May be called as often as one likes. */
export function loadDocs() {
  if (isAsked) return;
  isAsked = true;
  trouble.value = null;
  Promise.all([get("/docs"), get("/explain")]).then(([pages, spec]) => {
    topics.value = sorted(pages.items);
    fields.value = flat(spec.fields);
  }, (error) => {
    isAsked = false;
    trouble.value = error;
  });
}

const order = SHELVES.flatMap(([, names]) => names);

/** @param {Topic[]} items */
const sorted = (items) => [...items].sort((a, b) => place(a) - place(b) || (a.topic < b.topic ? -1 : 1));
const place = (/** @type {Topic} */ one) => (order.includes(one.topic) ? order.indexOf(one.topic) : order.length);

/** @param {any[]} some @returns {any[]} */
const flat = (some) => some.flatMap((one) => [one, ...flat(one.fields ?? [])]);

/** The topics on their shelves. @param {Topic[]} all @returns {{title: string, topics: Topic[]}[]} */
export function shelved(all) {
  const known = SHELVES.map(([title, names]) => ({title: String(title), topics: all.filter((one) => names.includes(one.topic))}));
  const others = all.filter((one) => !order.includes(one.topic));
  return [...known, {title: "More", topics: others}].filter((one) => one.topics.length);
}

/** A title in two parts: what it is, and what it is about. @param {string} title @returns {[string, string]} */
export function parted(title) {
  const [name, ...rest] = title.split(": ");
  const about = rest.join(": ");
  return [name, about && about[0].toUpperCase() + about.slice(1)];
}

/** For the palette. @returns {import("./keys.mjs").Command[]} */
export function docCommands() {
  const pages = topics.value ?? [];
  return [
    ...pages.map((one) => ({group: "Docs", label: one.title, words: `docs help ${one.topic}`, href: `/docs/${one.topic}`})),
    ...pages.flatMap((one) => one.headings.map((head) => ({
      group: "Docs", label: `${parted(one.title)[0]} \u203a ${head.title}`, words: `docs ${one.topic}`, href: `/docs/${one.topic}#${head.anchor}`,
    }))),
    ...(fields.value ?? []).map((one) => ({group: "Field", label: one.path, words: "field spec explain", href: `/docs/fields#${one.path}`})),
  ];
}
