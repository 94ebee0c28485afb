/*
 * Texts that want to be scripts, and access rules.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Registry, until } from './api.mjs';
import { embedded } from './stage.mjs';
import { hostile, shop } from './seed.mjs';
import { show } from './look.mjs';

const ROOT = '11111111-1111-4111-8111-111111111111';

/* Every view that shows a text of the registry shows it as text. */
export async function plants(page, stage) {
  const { registry } = stage;
  const node = (await registry.get('/v1/agent/self')).Config.NodeName;
  const { name, id } = await hostile(registry);
  await page.size(1280, 800, 'light');
  const enc = encodeURIComponent;
  for (const [hash, text] of [
    ['#/services', name],
    [`#/services/${enc(name)}`, id],
    [`#/services/${enc(name)}/${enc(node)}/${enc(id)}`, 'window.planted=2'],
    [`#/nodes/${enc(node)}`, id],
    ['#/graph', 'web'],
    ['#/keys', 'evil'],
    [`#/keys?key=${enc(`evil${name}`)}`, 'window.planted'],
    [`#/services?q=${enc('<img src=x onerror=window.planted=7>')}`, 'No service matches'],
    ['#/keys?prefix=%3Cimg%20src%3Dx%20onerror%3Dwindow.planted%3D8%3E', 'onerror'],
    ['#/%3Cimg%20src%3Dx%20onerror%3Dwindow.planted%3D9%3E', 'no such view'],
  ]) {
    await show(page, stage, hash, text);
    assert.equal(await page.run('window.planted'), undefined, `${hash}: a text of the registry ran`);
    assert.equal(await page.run(`document.querySelectorAll('main img, main script, main iframe, main [onerror], main [onload]').length`), 0, hash);
    assert.equal(await page.run(`[...document.querySelectorAll('a')].filter((one) => !one.getAttribute('href').startsWith('#')).length`), 0, `${hash}: a link leads elsewhere`);
    assert.deepEqual(page.takeErrors(/404 \(Not Found\).*\/v1\/kv\//), [], hash);
  }
  await registry.put('/v1/agent/check/update/evil-check', { Status: 'warning', Output: '<svg onload=window.planted=10>' });
  await page.run(`location.hash = '#/changes'`);
  await until('the change is shown, or came before', async () => (await page.run('window.planted')) === undefined);
  await registry.put(`/v1/agent/service/deregister/${enc(id)}`);
}

/* Without a token, with one that may only read, and with one that may do all. */
export async function tokens(page, portolan, out) {
  const place = await mkdtemp(join(tmpdir(), 'portolan-page-'));
  await writeFile(join(place, 'root'), ROOT, { mode: 0o600 });
  const stage = await embedded(portolan, { flags: ['--acl-initial-management-token-file', join(place, 'root')] });
  stage.registry = new Registry(stage.registry.url, ROOT);
  await shop(stage.registry);
  const rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" } agent_prefix "" { policy = "read" } key_prefix "" { policy = "read" }';
  await stage.registry.put('/v1/acl/policy', { Name: 'reader', Rules: rules });
  const { SecretID: reader } = JSON.parse(await stage.registry.put('/v1/acl/token', { Policies: [{ Name: 'reader' }] }));
  const node = (await stage.registry.get('/v1/agent/self')).Config.NodeName;
  const give = async (token) => {
    // One that is closing would be taken for the one that is opened.
    await page.until('no question is open', `document.querySelector('dialog') === null`);
    await page.click('#token');
    await page.untilText('Access token');
    await page.run(`document.querySelector('#secret').value = ''`);
    await page.type(token);
    await page.clickText('Use');
  };

  await page.size(1280, 800, 'light');
  await page.goto('about:blank');
  await page.goto(`${stage.page}#/services`);
  await page.until('what is hidden is said to be, or refused', `/No token is given/.test(document.body.innerText)`);
  await page.shot(`${out}/no-token-1280-light.png`);

  await give('22222222-2222-4222-8222-222222222222');
  await page.untilText('The registry does not know this token.');
  await page.key('Escape');

  await give(reader);
  await page.untilText('The token is in use.');
  await page.untilText('thumbnails');
  assert.equal(await page.run(`document.querySelector('#alarm').childElementCount`), 0, 'nothing is hidden');
  const kept = await page.run('JSON.stringify([Object.values(sessionStorage), Object.values(localStorage), location.href, document.cookie])');
  assert.deepEqual(JSON.parse(kept).map((one) => one.includes(reader)), [true, false, false, false], 'where the token is kept');

  await page.run(`location.hash = '#/services/web/${node}/web-1'`);
  await page.opens('Deregister…', 'Deregister web-1?');
  await page.clickText('Deregister');
  await page.untilText('The registry refused: 403');
  await page.shot(`${out}/refused-1280-light.png`);
  await page.key('Escape');
  assert.ok((await stage.registry.ids('web')).includes('web-1'));

  await give(ROOT);
  await page.untilText('The token is in use.');
  await page.opens('Deregister…', 'Deregister web-1?');
  await page.clickText('Deregister');
  await until('it is gone', async () => !(await stage.registry.ids('web')).includes('web-1'));
  // The page hears of it a moment later, and until then its question covers the rest.
  await page.until('the question is closed', `document.querySelector('dialog') === null`);
  await page.click('#token');
  await page.clickText('Forget');
  assert.equal(await page.run('sessionStorage.length'), 0);
  await stage.stop();
  await rm(place, { recursive: true });
  page.takeErrors();
}
