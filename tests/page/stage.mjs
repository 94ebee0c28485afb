/*
 * The registries that the page is looked at on: the embedded one, and a real Consul with `portolan ui` before it.
 *
 * In:  paths of programs. Out: where the page is and where the registry; both end with `stop`.
 *
 * Never: leaves a process behind; leaves loopback.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

import { Registry, until } from './api.mjs';

const PATIENCE = 60_000;
const running = new Set();

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

function start(path, args, env = {}) {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } });
  running.add(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  ended.then(() => running.delete(child));
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    await ended;
  };
  const first = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', resolve);
    child.once('error', reject);
    ended.then((code) => reject(new Error(`${path} ended with ${code} before it served`)));
    setTimeout(() => reject(new Error(`${path} did not say where it serves`)), PATIENCE).unref();
  });
  first.catch(() => {});
  return { child, stop, first };
}

const addressIn = (line) => {
  const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
  if (found === null) throw new Error(`no address in: ${line}`);
  return found[0];
};

/* A port that was free a moment ago. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/* The embedded registry; `port` 0 for any. */
export async function embedded(portolan, { port = 0, flags = [] } = {}) {
  const one = start(portolan, ['serve', '-dev', '--http-addr', `127.0.0.1:${port}`, '--dns-addr', 'off', ...flags]);
  const url = addressIn(await one.first);
  return { name: 'embedded', page: `${url}/ui/`, registry: new Registry(url), stop: one.stop };
}

/* A Consul, and `portolan ui` before it. */
export async function consul(portolan, path) {
  const [http, server, serf] = [await freePort(), await freePort(), await freePort()];
  const agent = start(path, ['agent', '-dev', '-bind', '127.0.0.1', '-client', '127.0.0.1', '-dns-port', '-1', '-grpc-port', '-1', '-serf-wan-port', '-1', '-log-level', 'err', '-http-port', String(http), '-server-port', String(server), '-serf-lan-port', String(serf)]);
  const registry = new Registry(`http://127.0.0.1:${http}`);
  await until('Consul has a leader', async () => (await registry.get('/v1/status/leader')) !== '', PATIENCE);
  await until('Consul lists its node', async () => (await registry.get('/v1/catalog/nodes')).length > 0, PATIENCE);
  const ui = start(portolan, ['ui', '--registry', registry.url], { CONSUL_HTTP_TOKEN: '', CONSUL_HTTP_ADDR: '' });
  const said = await ui.first;
  const page = said.split(' ').at(-1);
  return {
    name: 'consul',
    page,
    registry,
    stop: async () => {
      await ui.stop();
      await agent.stop('SIGKILL');
    },
  };
}
