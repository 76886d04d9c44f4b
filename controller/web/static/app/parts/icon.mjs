// Icons: outlines on a 16 px grid in the colour of the text beside them. Always beside a word, or in a control with a name.
import {html} from "../html.mjs";

/** @type {Record<string, string>} Paths. */
const PATHS = {
  overview: "M2.5 9.5 8 3l5.5 6.5M4 8v5h8V8",
  workers: "M2.5 3.5h11v3h-11zM2.5 9.5h11v3h-11zM5 5h.01M5 11h.01",
  configuration: "M9.5 2.5h-5a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h7a1 1 0 0 0 1-1v-7zM9.5 2.5v3h3M6 8.5h4M6 11h4",
  plan: "M5 3.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM11 9.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM5 6.5v3a1.5 1.5 0 0 0 1.5 1.5h3",
  logs: "M2.5 4h11M2.5 8h8M2.5 12h10",
  events: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11ZM8 5v3.2l2.2 1.3",
  batches: "M2.5 3h5v4h-5zM8.5 9h5v4h-5zM9.5 5h2.500v2.500M6.5 11H4V8.5",
  settings: "M2.5 5h6M12 5h1.500M2.5 11H4M7.5 11h6M10.2 3.500v3M5.8 9.500v3",
  docs: "M8 4.500C6.5 3.2 4.5 3 2.5 3.200v9c2-.2 4 0 5.5 1.3 1.5-1.3 3.5-1.5 5.5-1.300v-9C11.5 3 9.5 3.2 8 4.500ZM8 4.500v9",
  api: "M5.5 4.5 2.5 8l3 3.500M10.5 4.500l3 3.5-3 3.500M9 3 7 13",
  search: "M7 2.500a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.5 10.500l3 3",
  menu: "M2.5 4.500h11M2.5 8h11M2.5 11.500h11",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.500h7v7h-7zM3.5 10.500v-7h7",
  check: "M3.5 8.500l3 3 6-7",
  restart: "M12.8 6.500A5 5 0 1 0 13 8.800M13 3v3.500H9.5",
  start: "M5 3.500v9l7-4.500z",
  stop: "M4.5 4.500h7v7h-7z",
  down: "M4 6.500l4 4 4-4",
  right: "M6.5 4l4 4-4 4",
  link: "M6.5 9.500l3-3M7 4.500l1-1a3.2 3.2 0 0 1 4.5 4.500l-1 1M9 11.500l-1 1A3.2 3.2 0 0 1 3.5 8l1-1",
  moon: "M13 9.500A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500Z",
  sun: "M8 5.500a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5ZM8 1.800v1M8 13.200v1M1.8 8h1M13.2 8h1M3.6 3.600l.7.7M11.7 11.700l.7.7M12.4 3.600l-.7.7M4.3 11.700l-.7.7",
  system: "M2.5 3.500h11v7h-11zM6 13h4M8 10.500V13",
  download: "M8 2.5v7.500M5 7.200l3 3 3-3M3 13h10",
  filter: "M2.5 4h11M4.5 8h7M6.5 12h3",
  external: "M9 3h4v4M13 3 7.5 8.500M11.5 9.500v3h-8v-8h3",
};

/** @param {{name: string, size?: number}} props */
export function Icon({name, size = 16}) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d=${PATHS[name] ?? ""} />
  </svg>`;
}
