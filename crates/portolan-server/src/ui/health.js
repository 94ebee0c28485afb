/*
 * From checks to the health of instances, services and nodes; and what differs between two moments. PURE.
 *
 * In:  the names of services, and all checks there are. Out: a summary; changes.
 *
 * An instance is as its worst check, and as its node's worst. Instances without a check are not in this answer: they are seen
 * in the service itself. A change is computed from two summaries, never from a queue.
 */

/* From the best to the worst, as Consul weighs them (api/health.go AggregatedStatus). */
export const STATUSES = ['passing', 'warning', 'critical', 'maintenance'];

const rank = (status) => STATUSES.indexOf(status);
const worse = (one, other) => (rank(other) > rank(one) ? other : one);

/* The status of one check; what stands for maintenance is told apart by its id. */
export function statusOf(check) {
  const id = check.CheckID ?? '';
  if (id === '_node_maintenance' || id.startsWith('_service_maintenance')) return 'maintenance';
  return STATUSES.includes(check.Status) ? check.Status : 'critical';
}

/* The status that checks come to; passing where there are none. */
export const overall = (checks) => checks.map(statusOf).reduce(worse, 'passing');

/* What tells an instance from all others. */
export const key = (node, id) => `${node}\n${id}`;

const none = () => ({ passing: 0, warning: 0, critical: 0, maintenance: 0 });

/* The status of a service: its worst instance's; maintenance only where all are in it. */
export function ofService(counts, known) {
  if (known === 0) return 'unchecked';
  if (counts.critical > 0) return 'critical';
  if (counts.warning > 0) return 'warning';
  return counts.passing > 0 ? 'passing' : 'maintenance';
}

/* `names`: tags by name. `checks`: as `/v1/health/state/any` lists them. */
export function summarise(names, checks) {
  const nodes = new Map();
  const instances = new Map();
  for (const check of checks) {
    const status = statusOf(check);
    if (!check.ServiceID) {
      const node = nodes.get(check.Node) ?? { name: check.Node, status: 'passing', instances: 0, checked: true };
      node.status = worse(node.status, status);
      nodes.set(check.Node, node);
      continue;
    }
    const at = key(check.Node, check.ServiceID);
    const known = instances.get(at);
    if (known === undefined) {
      instances.set(at, { service: check.ServiceName, node: check.Node, id: check.ServiceID, status, why: check });
    } else if (rank(status) > rank(known.status)) {
      known.status = status;
      known.why = check;
    }
  }
  const services = new Map();
  const service = (name, tags) => {
    const one = { name, tags, counts: none(), known: 0, status: 'unchecked', text: `${name} ${tags.join(' ')}`.toLowerCase() };
    services.set(name, one);
    return one;
  };
  for (const name of Object.keys(names).sort()) service(name, names[name] ?? []);
  for (const instance of instances.values()) {
    const node = nodes.get(instance.node) ?? { name: instance.node, status: 'passing', instances: 0, checked: false };
    nodes.set(instance.node, node);
    node.instances += 1;
    instance.status = worse(instance.status, node.status);
    // A service whose name is not in the list yet has come between the two answers.
    const of = services.get(instance.service) ?? service(instance.service, []);
    of.counts[instance.status] += 1;
    of.known += 1;
  }
  for (const one of services.values()) one.status = ofService(one.counts, one.known);
  return { services, instances, nodes };
}

/* What is different: `{ kind, service, node, id, from, to, why }`, `kind` one of came, left, turned. */
export function differences(before, after) {
  const found = [];
  for (const [at, now] of after.instances) {
    const was = before.instances.get(at);
    if (was === undefined) found.push({ kind: 'came', ...now, from: null, to: now.status });
    else if (was.status !== now.status) found.push({ kind: 'turned', ...now, from: was.status, to: now.status });
  }
  for (const [at, was] of before.instances) {
    if (!after.instances.has(at)) found.push({ kind: 'left', ...was, from: was.status, to: null });
  }
  for (const [name, now] of after.services) {
    const was = before.services.get(name);
    if (was === undefined && now.known === 0) found.push({ kind: 'came', service: name, from: null, to: 'unchecked' });
  }
  for (const [name, was] of before.services) {
    if (was.known === 0 && !after.services.has(name)) found.push({ kind: 'left', service: name, from: 'unchecked', to: null });
  }
  for (const [name, now] of after.nodes) {
    const was = before.nodes.get(name);
    if (was !== undefined && was.status !== now.status) {
      found.push({ kind: 'turned', node: name, from: was.status, to: now.status });
    }
  }
  return found;
}

/* The two answers that make a summary come one after the other: for so long a name may be there before its checks. */
const APART = 5000;

/*
 * The changes with those that were just found, the newest first. A service that came by its name, and whose instances have come
 * since, is told by these alone.
 */
export function merged(changes, found, now) {
  const come = new Set(found.filter((one) => one.kind === 'came' && one.id).map((one) => one.service));
  const early = (one) => one.kind === 'came' && !one.id && now - one.at < APART && come.has(one.service);
  return [...found.map((one) => ({ ...one, at: now })).reverse(), ...changes.filter((one) => !early(one))];
}
