/*
 * Who needs whom, and whether it is there.
 *
 * In:  the meta of all instances that declare something, read node by node or service by service, whichever is less; the shared
 * summary; the versions of what is needed in a version. Out: a graph.
 *
 * Never: asks without a bound; says that something is met, or not, before it is known.
 */
import { read } from './api.js';
import { store, onChange } from './store.js';
import { declared, lack, KEY } from './needs.js';
import { circles } from './layout.js';
import { overall } from './health.js';
import { path } from './words.js';

/* So many questions at once: a browser has six connections to a registry. */
const AT_ONCE = 3;
/* Between two readings. */
const REST = 5000;

/* Runs `work` over all items, a few at once. */
async function each(items, work) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const item = items[next];
      next += 1;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
}

/* All declarations: `[{ service, meta }]`. */
async function declarations(signal, onProgress) {
  const { value: nodes } = await read('/v1/catalog/nodes', { signal });
  const services = [...store.summary.services.keys()];
  const found = [];
  let done = 0;
  const byNode = (nodes ?? []).length <= services.length;
  const items = byNode ? nodes.map((node) => node.Node) : services;
  await each(items, async (item) => {
    if (byNode) {
      const { value } = await read(`${path('catalog', 'node-services', item)}?filter=${encodeURIComponent(`"${KEY}" in Meta`)}`, { signal });
      for (const one of value?.Services ?? []) found.push({ service: one.Service, meta: one.Meta });
    } else {
      const { value } = await read(`${path('catalog', 'service', item)}?filter=${encodeURIComponent(`"${KEY}" in ServiceMeta`)}`, { signal });
      for (const one of value ?? []) found.push({ service: one.ServiceName, meta: one.ServiceMeta });
    }
    done += 1;
    onProgress(done, items.length);
  });
  return found;
}

/* Needs of each service, each with how many of its instances declare it. PURE. */
export function edgesOf(all) {
  const edges = new Map();
  const unreadable = [];
  for (const { service, meta } of all) {
    const read_ = declared(meta);
    for (const one of read_.needs) {
      const at = `${service}\n${one.text}`;
      const edge = edges.get(at) ?? { from: service, to: one.datacenter === null ? one.service : `${one.datacenter}/${one.service}`, need: one, by: 0 };
      edge.by += 1;
      edges.set(at, edge);
    }
    for (const text of read_.unreadable) unreadable.push({ service, text });
  }
  return { edges: [...edges.values()], unreadable };
}

/* Follows the graph; `run` at each change. Gives `{ graph, progress, failure, end }`. */
export function useGraph(run) {
  const data = { edges: null, unreadable: [], details: new Map(), readAt: null, progress: null, failure: null };
  const ended = new AbortController();
  let seen = -1;
  let busy = false;
  let again = false;
  let timer = 0;

  const elsewhere = (edge) => edge.need.datacenter !== null && edge.need.datacenter !== store.agent?.datacenter;

  /* Which services must be looked at one by one. */
  function doubtful() {
    const names = data.edges.filter((edge) => {
      const known = store.summary.services.get(edge.need.service);
      return elsewhere(edge) || (known !== undefined && (edge.need.wants !== null || known.counts.passing < edge.need.least));
    });
    return [...new Map(names.map((edge) => [edge.to, edge])).values()];
  }

  async function detail(edge) {
    const dc = elsewhere(edge) ? `?dc=${encodeURIComponent(edge.need.datacenter)}` : '';
    try {
      const { value } = await read(path('health', 'service', edge.need.service) + dc, { signal: ended.signal });
      const instances = (value ?? []).map((entry) => ({ status: overall(entry.Checks ?? []), meta: entry.Service.Meta ?? {}, tags: entry.Service.Tags ?? [] }));
      data.details.set(edge.to, { instances });
    } catch (error) {
      if (ended.signal.aborted) return;
      data.details.set(edge.to, { failure: error.message });
    }
  }

  async function refresh() {
    if (store.summary === null || ended.signal.aborted) return;
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    try {
      if (seen !== store.namesAt) {
        const at = store.namesAt;
        const all = await declarations(ended.signal, (done, of) => {
          data.progress = of > 20 ? { done, of } : null;
          if (data.edges === null && of > 20) run();
        });
        Object.assign(data, edgesOf(all));
        seen = at;
      }
      await each(doubtful(), detail);
      Object.assign(data, { readAt: Date.now(), failure: null, progress: null });
    } catch (error) {
      if (ended.signal.aborted) return;
      data.failure = error;
      again = true;
    }
    run();
    timer = setTimeout(() => {
      busy = false;
      if (again) refresh();
    }, REST);
  }

  /* What an edge lacks: a text, null when met, undefined when it is not known. */
  function lackOf(edge) {
    const details = data.details.get(edge.to);
    if (elsewhere(edge)) return details?.instances === undefined ? undefined : lack(edge.need, details.instances.length === 0 ? undefined : { known: details.instances.length }, details.instances);
    const known = store.summary.services.get(edge.need.service);
    if (known === undefined) return lack(edge.need, undefined);
    if (edge.need.wants === null && known.counts.passing >= edge.need.least) return null;
    return lack(edge.need, { known: known.known, healthy: known.counts.passing }, details?.instances);
  }

  const stop = onChange(refresh);
  refresh();
  return {
    data,
    /* The graph as it is now; null before it was read. */
    graph() {
      if (data.edges === null || store.summary === null) return null;
      const edges = data.edges.map((edge) => ({ ...edge, lack: lackOf(edge) }));
      const names = [...new Set(edges.flatMap((edge) => [edge.from, edge.to]))].sort();
      const hard = edges.filter((edge) => !edge.need.optional);
      const rings = circles(names, hard);
      for (const edge of edges) edge.circle = !edge.need.optional && rings.some((ring) => ring.includes(edge.from) && ring.includes(edge.to));
      return { names, edges, rings, unreadable: data.unreadable };
    },
    end() {
      ended.abort();
      clearTimeout(timer);
      stop();
    },
  };
}
