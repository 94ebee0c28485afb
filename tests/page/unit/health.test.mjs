/* From checks to health, and what differs between two moments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './load.mjs';

const { differences, merged, summarise } = await load('health');

const check = (node, id, status, more = {}) => ({ Node: node, CheckID: `c:${id}`, Status: status, ServiceID: id, ServiceName: id.split('-')[0], ...more });
const ofNode = (node, status, id = 'serfHealth') => ({ Node: node, CheckID: id, Status: status, ServiceID: '', ServiceName: '' });
const status = (summary, name) => summary.services.get(name)?.status;

test('an instance is as its worst check, and as its node', () => {
  const names = { web: [], db: [], cron: [] };
  const checks = [ofNode('a', 'passing'), ofNode('b', 'critical'), check('a', 'web-1', 'passing'), check('a', 'web-1', 'warning'), check('b', 'db-1', 'passing')];
  const found = summarise(names, checks);
  assert.deepEqual([status(found, 'web'), status(found, 'db'), status(found, 'cron')], ['warning', 'critical', 'unchecked']);
  assert.deepEqual(found.services.get('web').counts, { passing: 0, warning: 1, critical: 0, maintenance: 0 });
  assert.deepEqual([found.nodes.get('a').status, found.nodes.get('b').instances], ['passing', 1]);
});

test('maintenance stands above critical, and is the service’s only where all are in it', () => {
  const maintained = { ...check('a', 'web-1', 'critical'), CheckID: '_service_maintenance:web-1' };
  const one = summarise({ web: [] }, [maintained, check('a', 'web-1', 'critical'), check('a', 'web-2', 'passing')]);
  assert.equal(status(one, 'web'), 'passing');
  assert.equal(one.services.get('web').counts.maintenance, 1);
  assert.equal(status(summarise({ web: [] }, [maintained]), 'web'), 'maintenance');
  const node = summarise({ web: [] }, [ofNode('a', 'critical', '_node_maintenance'), check('a', 'web-2', 'passing')]);
  assert.equal(status(node, 'web'), 'maintenance');
});

test('a status that nobody knows is critical, not healthy', () => {
  assert.equal(status(summarise({ web: [] }, [check('a', 'web-1', 'strange')]), 'web'), 'critical');
});

test('the same id on two nodes is two instances', () => {
  assert.equal(summarise({ web: [] }, [check('a', 'web-1', 'passing'), check('b', 'web-1', 'passing')]).services.get('web').known, 2);
});

test('every difference is told once, from two summaries', () => {
  const before = summarise({ web: [], old: [] }, [check('a', 'web-1', 'passing'), check('a', 'web-2', 'passing')]);
  const after = summarise({ web: [], fresh: [] }, [check('a', 'web-1', 'critical'), check('a', 'web-3', 'warning')]);
  const told = differences(before, after).map((one) => `${one.kind} ${one.id ?? one.service} ${one.from} ${one.to}`);
  assert.deepEqual(told.sort(), ['came fresh null unchecked', 'came web-3 null warning', 'left old unchecked null', 'left web-2 passing null', 'turned web-1 passing critical']);
  assert.deepEqual(differences(after, after), []);
});

test('a service whose name came before its checks is told once', () => {
  const early = merged([], [{ kind: 'came', service: 'web', to: 'unchecked' }], 1000);
  const instance = { kind: 'came', service: 'web', id: 'web-1', to: 'passing' };
  assert.deepEqual(merged(early, [instance], 2000).map((one) => one.id), ['web-1']);
  assert.equal(merged(early, [instance], 9000).length, 2, 'long after it is another change');
  assert.equal(merged(early, [{ ...instance, service: 'db' }], 2000).length, 2);
});
