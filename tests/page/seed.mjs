/*
 * What the registry holds in the tests: a shop that is not quite well, things that want to be scripts, and a great many.
 *
 * In:  a registry. Out: it holds them.
 */
import { each } from './api.mjs';


const SHOP = [
  ['web', 4, { tags: ['http', 'blue'], version: '2.4.1', needs: 'shop; auth; cache?' }],
  ['shop', 3, { tags: ['http', 'grpc'], version: '1.12.0', needs: 'db@^14:2; cache?; billing' }],
  ['billing', 2, { tags: ['grpc'], version: '0.9.3', needs: 'db@^15; ledger' }],
  ['ledger', 2, { version: '3.0.0', needs: 'billing; queue' }],
  ['auth', 3, { tags: ['http', 'internal'], version: '5.1.0', needs: 'db@>=14, <16' }],
  ['db', 3, { tags: ['primary', 'postgres'], version: '14.11.0' }],
  ['cache', 2, { tags: ['redis'], version: '7.2.4' }],
  ['mailer', 2, { tags: ['worker'], version: '1.0.0-rc.2', needs: 'smtp; queue' }],
  ['queue', 3, { tags: ['nats'], version: '2.10.7' }],
  ['search', 5, { tags: ['http', 'canary', 'green', 'beta', 'x86', 'gpu'], version: '0.4.0', needs: 'db' }],
  ['thumbnails', 1, { version: '1.1.0' }],
];

const SAYS = { 'web-3': ['critical', 'HTTP GET http://10.0.1.13:8080/health: 503 Service Unavailable\nOutput: pool exhausted: 64 of 64 connections are in use'], 'search-2': ['warning', 'queue is 81 % full'], 'search-4': ['critical', 'dial tcp 10.0.1.84:7700: connect: connection refused'], 'thumbnails-1': ['critical', 'TTL expired'] };
const ZONES = ['eu-1a', 'eu-1b', 'eu-1c'];

/* A dozen services, some of them unwell. */
export async function shop(registry) {
  let host = 10;
  for (const [name, count, { tags = [], version, needs }] of SHOP) {
    for (let at = 1; at <= count; at += 1) {
      host += 1;
      const id = `${name}-${at}`;
      const meta = { version, zone: ZONES[at % 3], team: name === 'db' ? 'platform' : 'shop', ...(needs ? { 'portolan-needs': needs } : {}) };
      const [status, output] = SAYS[id] ?? ['passing', 'ok'];
      await registry.register({ ID: id, Name: name, Port: 8000 + host, Address: `10.0.1.${host}`, Tags: tags, Meta: meta, Checks: [{ Name: 'ready', CheckID: `ready:${id}`, TTL: '10h', Status: status === 'passing' ? 'warning' : 'passing', Notes: 'Said by the program itself, each ten hours.' }, { Name: 'alive', CheckID: `alive:${id}`, TTL: '10h', Status: 'passing' }] });
      await registry.put(`/v1/agent/check/update/ready:${id}`, { Status: status, Output: output });
    }
  }
  await registry.register({ ID: 'cron-1', Name: 'cron', Port: 9999, Meta: { version: 'nightly' } });
  await registry.put('/v1/agent/service/maintenance/queue-2?enable=true&reason=disk%20is%20replaced');
  await registry.put('/v1/kv/shop/config/limits', '{"requests":500,"burst":{"size":50,"per":"10s"}}');
  await registry.put('/v1/kv/shop/config/motd', 'We are open.\nEvery day.');
  await registry.put('/v1/kv/shop/flags/new-cart', 'on');
  await registry.put('/v1/kv/leader', 'shop-1');
  await fetch(`${registry.url}/v1/kv/shop/logo`, { method: 'PUT', body: Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 255]) });
}

/* What a script would be if a text were taken for HTML; `window.planted` tells. */
export const PLANT = '<img src=x onerror="window.planted=1"><script>window.planted=2</script>';

/* Such texts wherever the interface takes them. */
export async function hostile(registry) {
  const name = `<img src=x onerror=window.planted=3>`;
  await registry.register({ ID: `evil${PLANT}`, Name: name, Port: 1, Address: '"><svg onload=window.planted=4>', Tags: [PLANT, 'javascript:window.planted=5'], Meta: { version: PLANT, zone: PLANT, 'portolan-needs': 'web', note: PLANT, link: 'javascript:window.planted=6' }, Check: { Name: PLANT, CheckID: 'evil-check', TTL: '10h', Status: 'passing', Notes: PLANT } });
  await registry.put('/v1/agent/check/update/evil-check', { Status: 'critical', Output: `${PLANT}\n"'></pre>${PLANT}` });
  await registry.put(`/v1/kv/${encodeURIComponent(`evil${name}`)}`, PLANT);
  return { name, id: `evil${PLANT}` };
}

/* Services and instances in the thousands, through the catalogue: an agent would take far longer. */
export async function many(registry, services, each_, nodes = 100) {
  const all = Array.from({ length: services }, (_, at) => at);
  const { Config } = await registry.get('/v1/agent/self');
  await each(all, 8, async (at) => {
    const name = `svc-${String(at).padStart(4, '0')}`;
    for (let one = 0; one < each_; one += 1) {
      const node = (at * each_ + one) % nodes;
      const status = at % 97 === 0 && one === 0 ? 'critical' : at % 61 === 0 && one < 2 ? 'warning' : 'passing';
      await registry.put('/v1/catalog/register', {
        Datacenter: Config.Datacenter,
        Node: `node-${node}`,
        Address: `10.1.${node}.1`,
        SkipNodeUpdate: one > 0 && at > nodes,
        Service: { ID: `${name}-${one}`, Service: name, Port: 8000 + one, Tags: ['http', at % 2 === 0 ? 'even' : 'odd'], Meta: { version: `1.${at % 7}.0`, zone: `z${one % 3}` } },
        Check: { Node: `node-${node}`, CheckID: `check:${name}-${one}`, Name: 'serves', Status: status, ServiceID: `${name}-${one}`, Output: status === 'passing' ? 'HTTP GET http://10.1.0.1/health: 200 OK Output: ok' : 'HTTP GET http://10.1.0.1/health: 503' },
      });
    }
  });
}
