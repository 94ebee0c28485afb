/*
 * Each view at two sizes and in two themes: a picture for a person to look at, and what a program can see: that nothing is
 * wider than the window, that axe-core finds nothing serious, that nothing is logged and nothing asked elsewhere.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

export const SIZES = [[1280, 800], [320, 640]];
export const THEMES = ['light', 'dark'];

const READ = `!document.body.innerText.includes('Reading…')`;

/* The views that the shop has something for. */
export const VIEWS = (node) => [
  ['services', '#/services', 'web'],
  ['service', '#/services/search', 'search-4'],
  ['instance', `#/services/web/${node}/web-3`, 'pool exhausted'],
  ['nodes', '#/nodes', node],
  ['node', `#/nodes/${node}`, 'auth-1'],
  ['graph', '#/graph', 'smtp'],
  ['graph-around', '#/graph?service=billing', 'ledger'],
  ['keys', '#/keys?prefix=shop%2F', 'config/'],
  ['key', '#/keys?key=shop%2Fconfig%2Flimits', '"requests": 500'],
  ['bytes', '#/keys?key=shop%2Flogo', 'Bytes, not text'],
  ['changes', '#/changes', 'when this page was opened'],
  ['nothing', '#/services?q=there-is-none', 'No service matches'],
];

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/* What axe-core finds that keeps somebody out. */
export async function reach(page, what) {
  await page.run(`${axe};undefined`);
  const found = await page.run(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => one.id + ': ' + one.help + ': ' + one.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + (node.any[0]?.message ?? '')).join(' | ')))`);
  assert.deepEqual(found, [], `axe-core, ${what}`);
}

export async function show(page, stage, hash, text) {
  await page.goto('about:blank');
  await page.goto(stage.page + hash);
  await page.until(`${hash} is read`, READ);
  await page.untilText(text);
}

/* All views; gives how many pictures were taken. */
export async function look(page, stage, out, { sizes = SIZES, themes = THEMES } = {}) {
  const node = (await stage.registry.get('/v1/agent/self')).Config.NodeName;
  let taken = 0;
  for (const [width, height] of sizes) {
    for (const theme of themes) {
      await page.size(width, height, theme);
      for (const [name, hash, text] of VIEWS(node)) {
        const what = `${stage.name}, ${name}, ${width}×${height}, ${theme}`;
        await show(page, stage, hash, text);
        await page.shot(`${out}/${stage.name}-${name}-${width}-${theme}.png`);
        taken += 1;
        const wide = await page.run('document.documentElement.scrollWidth - innerWidth');
        assert.ok(wide <= 0, `${what}: ${wide} pixels wider than the window`);
        await reach(page, what);
        assert.deepEqual(page.takeErrors(), [], what);
      }
    }
  }
  const foreign = page.asked.filter((url) => /^(https?|wss?):/.test(url) && !url.startsWith(new URL(stage.page).origin));
  assert.deepEqual(foreign, [], 'the page asked elsewhere');
  return taken;
}

/* The themes' button: what it chose stays after a reload, over the system's. */
export async function chooseTheme(page, stage) {
  await page.size(1280, 800, 'light');
  await show(page, stage, '#/services', 'web');
  const ground = () => page.run('getComputedStyle(document.body).backgroundColor');
  const light = await ground();
  await page.click('#theme');
  const dark = await ground();
  assert.notEqual(dark, light, 'the button changes the theme');
  await show(page, stage, '#/services', 'web');
  assert.equal(await ground(), dark, 'the choice stays');
  await page.click('#theme');
  assert.equal(await ground(), light);
  await page.run(`localStorage.clear()`);
}
