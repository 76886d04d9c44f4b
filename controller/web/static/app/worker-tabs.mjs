// The tabs of a worker's page. A tab is a file in screens/ and a row here; its component gets `{id, item, status}`: the
// worker's id, its item of the store (null once it is gone), and the answer of `GET /workers/ID/status` (null until it came).

/** @type {{id: string, label: string, load: () => Promise<any>}[]} The first one has no name in the path. */
export const WORKER_TABS = [
  {id: "", label: "Overview", load: () => import("./screens/worker-overview.mjs")},
  {id: "instances", label: "Instances", load: () => import("./screens/worker-instances.mjs")},
  {id: "logs", label: "Logs", load: () => import("./screens/worker-logs.mjs")},
  {id: "metrics", label: "Metrics", load: () => import("./screens/worker-metrics.mjs")},
  {id: "events", label: "Events", load: () => import("./screens/worker-events.mjs")},
  {id: "spec", label: "Spec", load: () => import("./screens/worker-spec.mjs")},
  {id: "history", label: "History", load: () => import("./screens/worker-history.mjs")},
];
