/*
 * What happens in the registry is seen without a reload; and a registry that is gone is never passed off as there.
 */
import assert from 'node:assert/strict';

import { embedded } from './stage.mjs';
import { shop } from './seed.mjs';
import { show } from './look.mjs';

/* Instances come, turn and go. */
export async function changes(page, stage) {
  const { registry } = stage;
  await page.size(1280, 800, 'light');
  await show(page, stage, '#/services', 'web');
  await page.run('window.same = true');
  await registry.register({ ID: 'fresh-1', Name: 'fresh', Port: 1, Check: { CheckID: 'fresh', TTL: '1h', Status: 'passing' } });
  await page.until('it is in the list', `[...document.querySelectorAll('.rows .row')].some((one) => one.innerText.includes('fresh') && one.innerText.includes('Passing'))`);
  await registry.put('/v1/agent/check/update/fresh', { Status: 'critical', Output: 'the pool is empty' });
  await page.until('it turns', `[...document.querySelectorAll('.rows .row')].some((one) => one.innerText.includes('fresh') && one.innerText.includes('Critical'))`);
  await page.run(`location.hash = '#/changes'`);
  await page.untilText('fresh-1 went critical');
  await page.untilText('the pool is empty');
  await page.untilText('fresh-1 came, passing');
  assert.equal(await page.run(`document.body.innerText.includes('without a check')`), false, 'it has one');
  assert.match(await page.run(`document.querySelector('.change time').textContent`), /^\d\d:\d\d:\d\d$/);
  await registry.put('/v1/agent/service/deregister/fresh-1');
  await page.untilText('fresh-1 left, it was critical');
  await page.run(`location.hash = '#/keys?key=fresh'`);
  await page.untilText('There is no such key.');
  await registry.put('/v1/kv/fresh', 'a new value');
  await page.untilText('a new value');
  await page.run(`location.hash = '#/graph'`);
  await page.untilText('mailer needs smtp: no instance is registered');
  await registry.register({ ID: 'smtp-1', Name: 'smtp', Port: 25 });
  await page.until('the need is met', `!document.body.innerText.includes('mailer needs smtp')`, 20_000);
  await registry.put('/v1/agent/service/deregister/smtp-1');
  assert.equal(await page.run('window.same'), true, 'without a reload');
  // A key that is not there is a 404, which the browser logs.
  assert.deepEqual(page.takeErrors(/404 \(Not Found\).*\/v1\/kv\//), []);
}

/* The registry stops and comes back, on a port of its own. */
export async function outage(page, portolan, out) {
  let stage = await embedded(portolan);
  await shop(stage.registry);
  await page.size(1280, 800, 'light');
  await show(page, stage, '#/services', 'web');
  await page.untilText('Live');
  const port = Number(new URL(stage.page).port);
  await stage.stop();
  await page.untilText('The registry cannot be reached since');
  await page.untilText('What you see is from');
  assert.equal(await page.run(`document.querySelector('#pulse .word').textContent`), 'Stale');
  assert.ok(await page.run(`document.body.innerText.includes('thumbnails')`), 'what was known is still shown');
  await page.untilText('Next try in');
  await page.shot(`${out}/outage-1280-light.png`);
  await page.size(320, 640, 'dark');
  await page.shot(`${out}/outage-320-dark.png`);

  stage = await embedded(portolan, { port });
  await stage.registry.register({ ID: 'after-1', Name: 'after', Port: 1 });
  await page.clickText('Try now').catch(() => {}); // it may have found it by itself
  await page.until('it is live again', `document.querySelector('#pulse .word').textContent === 'Live'`, 30_000);
  await page.untilText('after');
  await page.until('what is gone is gone', `!document.body.innerText.includes('thumbnails')`);
  assert.equal(await page.run(`document.querySelector('#alarm').childElementCount`), 0);
  await stage.stop();
  page.takeErrors();
}
