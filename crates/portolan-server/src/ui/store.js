/*
 * The picture that all views share: services, the health of all instances, and the changes seen since the page was opened.
 *
 * In:  two questions that are followed, `/v1/catalog/services` and `/v1/health/state/any`: two requests for any number of
 * services. Out: a summary at each change.
 *
 * Never: shows a summary before both have been answered; keeps more changes than a bound.
 */
import { follow } from './live.js';
import { summarise, differences, merged } from './health.js';
import { read } from './api.js';

/* So many changes are kept. */
const KEPT = 500;

const listeners = new Set();
let names = null;
let checks = null;

/* `summary`: null until both are answered. `changes`: the newest first. `namesAt` counts the changes of the catalogue. */
export const store = { summary: null, changes: [], changesTotal: 0, since: null, namesAt: 0, agent: null };

/* Calls `run` at each change; gives what ends that. */
export function onChange(run) {
  listeners.add(run);
  return () => listeners.delete(run);
}

function update() {
  if (names === null || checks === null) return;
  const next = summarise(names, checks);
  if (store.summary === null) {
    store.since = Date.now();
  } else {
    const all = merged(store.changes, differences(store.summary, next), Date.now());
    store.changesTotal += all.length - store.changes.length;
    store.changes = all.slice(0, KEPT);
  }
  store.summary = next;
  listeners.forEach((run) => run());
}

/* Begins to follow. */
export function start() {
  follow('/v1/catalog/services', (value) => {
    names = value ?? {};
    store.namesAt += 1;
    update();
  });
  follow('/v1/health/state/any', (value) => {
    checks = value ?? [];
    update();
  });
  learnAgent();
}

/* Forgets what was seen with another token: what it hides or shows is no change. */
export function forget() {
  [names, checks] = [null, null];
  Object.assign(store, { summary: null, changes: [], changesTotal: 0, agent: null });
  learnAgent();
  listeners.forEach((run) => run());
}

/* Which node the agent has that is asked: it holds the instances that can be acted on. `null`: not known. */
export async function learnAgent() {
  try {
    const { value } = await read('/v1/agent/self');
    store.agent = { node: value?.Config?.NodeName ?? null, datacenter: value?.Config?.Datacenter ?? null };
    listeners.forEach((run) => run());
  } catch {
    // Without the right to read it, or without an answer, an action finds out by itself.
    store.agent = null;
  }
}
