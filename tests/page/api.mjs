/*
 * The registry's interface from the test's side, past the page: what is true, and what the page must come to show.
 *
 * In:  an address. Out: answers; a failure throws with what was said.
 */
import { setTimeout as pause } from 'node:timers/promises';

export class Registry {
  constructor(url, token = '') {
    this.url = url;
    this.token = token;
  }

  async ask(path, { method = 'GET', body } = {}) {
    const headers = this.token === '' ? {} : { 'X-Consul-Token': this.token };
    const answer = await fetch(this.url + path, { method, headers, body: typeof body === 'string' || body === undefined ? body : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text.trim()}`);
    return text;
  }

  async get(path) {
    return JSON.parse(await this.ask(path));
  }

  put(path, body) {
    return this.ask(path, { method: 'PUT', body });
  }

  register(definition) {
    return this.put('/v1/agent/service/register', definition);
  }

  /* The ids of a service's instances, in order. */
  async ids(service) {
    const entries = await this.get(`/v1/health/service/${encodeURIComponent(service)}`);
    return entries.map((entry) => entry.Service.ID).sort();
  }

  async checksOf(service) {
    return this.get(`/v1/health/checks/${encodeURIComponent(service)}`);
  }
}

/* Asks until it is so; what it was last is in the failure. */
export async function until(what, probe, within = 15_000) {
  const end = Date.now() + within;
  let last;
  while (Date.now() < end) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await pause(50);
  }
  throw new Error(`${what}: not within ${within / 1000} s; at last: ${last instanceof Error ? last.message : JSON.stringify(last)}`);
}

/* Runs `work` over all items, many at once. */
export async function each(items, atOnce, work) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = items[next];
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
