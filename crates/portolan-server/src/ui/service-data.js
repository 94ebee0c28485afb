/*
 * The instances of one service, followed while a view of it is open.
 *
 * In:  `/v1/health/service/NAME`. Out: each instance with its checks, version, zone, and a text to search in.
 *
 * Going from a service to one of its instances keeps the question that is open.
 */
import { follow } from './live.js';
import { overall, key } from './health.js';
import { versionOf } from './version.js';
import { authority, byName, path } from './words.js';

let held = null;

function instance(entry) {
  const { Node: node, Service: service } = entry;
  const checks = entry.Checks ?? [];
  const meta = service.Meta ?? {};
  const tags = service.Tags ?? [];
  const address = authority(service.Address || node.Address, service.Port);
  const version = versionOf(meta, tags);
  // In the library's order (crates/portolan/src/registry/consul/health.rs `place`).
  const zone = service.Locality?.Zone || node.Locality?.Zone || meta.zone || node.Meta?.zone || '';
  const pairs = Object.entries(meta).map(([name, value]) => `${name}=${value}`);
  const status = overall(checks);
  return {
    id: service.ID,
    key: key(node.Node, service.ID),
    node: node.Node,
    nodeInfo: node,
    service,
    checks,
    meta,
    tags,
    address,
    version,
    zone,
    status,
    text: [service.ID, node.Node, address, version?.text ?? '', zone, status, ...tags, ...pairs].join(' ').toLowerCase(),
  };
}

/* Follows a service; `run` is called at each change. Gives `{ instances, end }`: `instances` null until there is an answer. */
export function useService(name, run) {
  if (held === null || held.name !== name) {
    const data = { name, users: new Set(), instances: null };
    data.follower = follow(path('health', 'service', name), (value) => {
      data.instances = (value ?? []).map(instance).sort((one, other) => byName(one.id, other.id));
      data.users.forEach((user) => user());
    });
    held = data;
  }
  const data = held;
  data.users.add(run);
  return {
    get instances() {
      return data.instances;
    },
    end() {
      data.users.delete(run);
      if (data.users.size > 0) return;
      data.follower.stop();
      if (held === data) held = null;
    },
  };
}
