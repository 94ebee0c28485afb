/*
 * One question to the registry, and its answer or a failure that says what it is.
 *
 * In:  a path of Consul's interface, and the token that was given in this tab. Out: the decoded body with its headers.
 *
 * Never: waits without a deadline; follows a redirect; keeps the token anywhere but in the session storage of this tab.
 */
import { line } from './words.js';

const KEPT = 'portolan-token';
const PATIENCE = 15_000;

let held = '';
try {
  held = sessionStorage.getItem(KEPT) ?? '';
} catch {
  // Storage may be forbidden: then the token lasts as long as the page.
}

export const token = () => held;

export function setToken(value) {
  held = value.trim();
  try {
    if (held === '') sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, held);
  } catch {
    // As above.
  }
}

/* Why there is no answer. `kind`: `unreachable`, `late`, `denied`, `refused` or `foreign` (no registry answers there). */
export class Failure extends Error {
  constructor(kind, message, status = 0) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

function refused(status, body) {
  const said = line(body) || `status ${status}`;
  if (status === 403 || status === 401) return new Failure('denied', `${status}: ${said}`, status);
  return new Failure('refused', `${status}: ${said}`, status);
}

async function exchange(path, { method = 'GET', body, signal, within = PATIENCE } = {}) {
  const headers = { Accept: 'application/json' };
  if (held !== '') headers['X-Consul-Token'] = held;
  const late = AbortSignal.timeout(within);
  const ended = signal ? AbortSignal.any([signal, late]) : late;
  let answer;
  let text;
  let begun = 0;
  try {
    answer = await fetch(path, { method, headers, body, signal: ended, cache: 'no-store', redirect: 'error', credentials: 'same-origin' });
    begun = performance.now();
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (late.aborted) throw new Failure('late', `no answer within ${Math.round(within / 1000)} s`);
    throw new Failure('unreachable', 'no connection to the registry');
  }
  return { answer, text, begun };
}

/*
 * Reads JSON. Gives `{ value, index, hidden, nameless, leader, took }`: `hidden` where access rules left something out,
 * `nameless` where they may have, because no token was given and the default is to deny; `took` the milliseconds from the first byte to the decoded value. `known`: the index for which the body need not be decoded.
 */
export async function read(path, options = {}) {
  const { answer, text, begun } = await exchange(path, options);
  const index = Number(answer.headers.get('X-Consul-Index') ?? 0);
  const about = {
    index,
    hidden: answer.headers.get('X-Consul-Results-Filtered-By-ACLs') === 'true',
    leader: answer.headers.get('X-Consul-KnownLeader') !== 'false',
    /* Consul tells who brings no token nothing of what it leaves out. */
    nameless: held === '' && answer.headers.get('X-Consul-Default-ACL-Policy') === 'deny',
  };
  if (answer.status === 404 && options.missing) return { ...about, value: null, took: performance.now() - begun };
  if (!answer.ok) throw refused(answer.status, text);
  if (options.known !== undefined && options.known === index && index > 0) return { ...about, took: 0 };
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Failure('foreign', `this is no registry's answer; it begins with “${line(text, 80)}”`);
  }
  return { ...about, value, took: performance.now() - begun };
}

/* Changes something. Resolves when the registry has done it. */
export async function write(path, body) {
  const { answer, text } = await exchange(path, { method: 'PUT', body: body === undefined ? undefined : JSON.stringify(body) });
  if (!answer.ok) throw refused(answer.status, text);
}
