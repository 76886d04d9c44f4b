// The specs of the fleet as a list, kept in step: fetched anew when a worker's file, revision or problems are others.
import {computed, useEffect, useState} from "./html.mjs";
import {getAll} from "./api.mjs";
import {happened, workers} from "./store.mjs";

/** What tells that a spec changed: what the stream has of it, and the events of specs and their files. */
const marks = computed(() => [
  ...[...workers.value.values()].map((one) => `${one.worker_id} ${one.revision} ${one.desired_state} ${one.source.file} ${one.problems.length}`),
  happened.value.findLast((/** @type {any} */ one) => one.type.startsWith("spec_"))?.seq ?? 0,
].join("\n"));

/** @returns {{items: any[]|null, error: any, again: () => void}} null until they are known */
export function useSpecs() {
  const [state, setState] = useState(/** @type {any} */ ({items: null, error: null}));
  const [turn, setTurn] = useState(0);
  const mark = marks.value;
  useEffect(() => {
    let isHere = true;
    getAll("/worker-configs").then(
      (items) => isHere && setState({items, error: null}),
      (error) => isHere && setState((/** @type {any} */ was) => ({...was, error})),
    );
    return () => {
      isHere = false;
    };
  }, [mark, turn]);
  return {...state, again: () => setTurn((/** @type {number} */ was) => was + 1)};
}
