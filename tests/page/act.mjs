/*
 * Each action once, by mouse and by keyboard, with its effect verified past the page.
 */
import assert from 'node:assert/strict';

import { until } from './api.mjs';
import { reach, show } from './look.mjs';

const marked = (registry, id) => async () => {
  const checks = await registry.get('/v1/agent/checks');
  return checks[`_service_maintenance:${id}`]?.Notes ?? null;
};

/* Maintenance on and off, and a removal; a dialog that is left does nothing. */
export async function mouse(page, stage) {
  const { registry } = stage;
  const node = (await registry.get('/v1/agent/self')).Config.NodeName;
  await page.size(1280, 800, 'light');
  await show(page, stage, `#/services/cache/${node}/cache-1`, 'Put into maintenance…');
  await page.run('window.same = true');

  await page.opens('Put into maintenance…', 'Take cache-1 out of service?');
  await reach(page, 'the dialog');
  await page.clickText('Cancel');
  assert.equal(await marked(registry, 'cache-1')(), null, 'Cancel does nothing');

  await page.opens('Put into maintenance…', 'Take cache-1 out of service?');
  await page.type('memory is replaced');
  await page.clickText('Put into maintenance');
  assert.equal(await until('it is in maintenance', marked(registry, 'cache-1')), 'memory is replaced');
  await page.untilText('cache-1 is in maintenance.');
  await page.untilText('End maintenance…');
  await page.untilText('memory is replaced');

  await page.opens('End maintenance…', 'Take cache-1 back into service?');
  await page.clickText('End maintenance');
  await until('it is back', async () => (await marked(registry, 'cache-1')()) === null);
  await page.untilText('Put into maintenance…');

  await page.opens('Deregister…', 'Deregister cache-1?');
  assert.equal(await page.focused(), 'button Cancel', 'a removal is not what Enter does at once');
  await page.clickText('Deregister');
  await until('it is gone', async () => !(await registry.ids('cache')).includes('cache-1'));
  await page.untilText('This instance is not registered any more.');
  assert.equal(await page.run('window.same'), true, 'without a reload');
  assert.deepEqual(page.takeErrors(), []);
}

/* A node's maintenance. */
export async function nodeMaintenance(page, stage) {
  const { registry } = stage;
  const node = (await registry.get('/v1/agent/self')).Config.NodeName;
  const on = async () => '_node_maintenance' in (await registry.get('/v1/agent/checks'));
  await show(page, stage, `#/nodes/${node}`, 'Put the node into maintenance…');
  await page.opens('Put the node into maintenance…', 'Take the node');
  await page.clickText('Put into maintenance');
  await until('the node is in maintenance', on);
  await page.untilText('End the node’s maintenance…');
  await page.opens('End the node’s maintenance…', 'back into service?');
  await page.clickText('End maintenance');
  await until('the node is back', async () => !(await on()));
  await page.untilText('Put the node into maintenance…');
  assert.deepEqual(page.takeErrors(), []);
}

/* What another agent has can only be removed past it. */
export async function foreign(page, stage) {
  const { registry } = stage;
  const { Config } = await registry.get('/v1/agent/self');
  await registry.put('/v1/catalog/register', { Datacenter: Config.Datacenter, Node: 'far', Address: '192.0.2.7', Service: { ID: 'legacy-1', Service: 'legacy', Port: 1 } });
  await show(page, stage, '#/services/legacy/far/legacy-1', 'Maintenance is set at the agent of far.');
  await page.opens('Remove from the catalogue…', 'removed past its agent');
  await page.clickText('Remove');
  await until('it is gone', async () => (await registry.ids('legacy')).length === 0);
  await page.untilText('This instance is not registered any more.');
  await registry.put('/v1/catalog/deregister', { Datacenter: Config.Datacenter, Node: 'far' });
  assert.deepEqual(page.takeErrors(), []);
}

/* Search and filters stand in the address, and come back from it. */
export async function filters(page, stage) {
  await page.size(1280, 800, 'light');
  await show(page, stage, '#/services', 'web');
  await page.key('/');
  assert.match(await page.focused(), /^input/, '/ goes to the search');
  await page.type('http');
  await page.until('the address has the search', `location.hash === '#/services?q=http'`);
  await page.click('[data-status="critical"]');
  await page.until('and the filter', `location.hash === '#/services?q=http&status=critical'`);
  const rows = `[...document.querySelectorAll('.rows .name')].map((one) => one.textContent).sort().join()`;
  await page.until('the rows', `${rows} === 'search,web'`);
  assert.match(await page.focused(), /Critical/, 'the focus stays at the button');
  const hash = await page.run('location.hash');
  await show(page, stage, hash, '2 of');
  await page.until('the rows are back', `${rows} === 'search,web'`);
  assert.equal(await page.run(`document.querySelector('#search').value`), 'http');

  await show(page, stage, '#/services/search?q=zone%3Deu-1b', '2 of 5 instances');
  assert.deepEqual(page.takeErrors(), []);
}

/* Without a mouse: from the top of the page to an instance in maintenance, and back. */
export async function keyboard(page, stage) {
  const { registry } = stage;
  await page.size(1280, 800, 'dark');
  await show(page, stage, '#/services?sort=name', 'web');
  const tabTo = async (wanted, most = 40) => {
    for (let at = 0; at < most; at += 1) {
      await page.key('Tab');
      if (wanted.test(await page.focused())) return;
    }
    assert.fail(`Tab does not reach ${wanted}; it is at ${await page.focused()}`);
  };
  await page.key('Tab');
  assert.match(await page.focused(), /Skip to the content/);
  for (const wanted of [/Portolan/, /Services/, /Nodes/, /Dependencies/, /Keys/, /Changes/, /Token/, /theme/, /^input/, /Passing/]) await tabTo(wanted, 1);
  await tabTo(/^a auth/);
  const ringed = await page.run(`getComputedStyle(document.activeElement).outlineStyle`);
  assert.notEqual(ringed, 'none', 'what has the focus shows it');
  await page.key('ArrowDown');
  assert.match(await page.focused(), /^a billing/);
  await page.key('End');
  assert.match(await page.focused(), /^a web/);
  await page.key('Home');
  assert.match(await page.focused(), /^a auth/);
  await page.key('Enter');
  await page.untilText('auth-1');
  assert.match(await page.focused(), /^h1 auth/, 'a new view begins at its title');
  await tabTo(/^a auth-1/);
  await page.key('Enter');
  await page.untilText('Put into maintenance…');
  await tabTo(/Put into maintenance…/);
  await page.key('Enter');
  await page.untilText('Take auth-1 out of service?');
  await page.key('Escape');
  await page.until('Esc closes it', `document.querySelector('dialog') === null`);
  assert.match(await page.focused(), /Put into maintenance…/, 'the focus goes back');
  await page.key('Enter');
  await page.type('by hand');
  await page.key('Enter');
  assert.equal(await until('it is in maintenance', marked(registry, 'auth-1')), 'by hand');
  await page.untilText('End maintenance…');
  await registry.put('/v1/agent/service/maintenance/auth-1?enable=false');

  // In the drawing, a box is a link.
  await show(page, stage, '#/graph', 'smtp');
  await tabTo(/^region|Drawing/);
  await tabTo(/^a auth\s*3 of 3 passing/);
  await page.key('Enter');
  await page.until('the service opens', `location.hash === '#/services/auth'`);
  assert.deepEqual(page.takeErrors(), []);
}
