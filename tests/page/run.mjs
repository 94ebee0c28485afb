/*
 * Looks at the page in a real browser, on the embedded registry and on a real Consul. `cargo xtask page` runs it.
 *
 * In:  `--portolan PATH --chromium PATH --consul PATH --out DIR [--short] [--only TEXT]`. Out: a line a step; exit code 1 when
 * one failed. `--only`: steps with this in their name.
 */
import { mkdir, rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';

import * as act from './act.mjs';
import { big } from './big.mjs';
import { Browser } from './browser.mjs';
import * as guard from './guard.mjs';
import * as live from './live.mjs';
import { chooseTheme, look } from './look.mjs';
import { shop } from './seed.mjs';
import { consul, embedded } from './stage.mjs';

const { values: args } = parseArgs({ options: { portolan: { type: 'string' }, chromium: { type: 'string' }, consul: { type: 'string' }, out: { type: 'string' }, short: { type: 'boolean' }, only: { type: 'string', default: '' } } });

await rm(args.out, { recursive: true, force: true });
await mkdir(args.out, { recursive: true });
const browser = await Browser.launch(args.chromium);
console.log(`${browser.product}, pictures in ${args.out}`);
let [passed, failed] = [0, 0];

/* Runs a step with a page of its own; a failure is told, with a picture, and the others go on. */
async function step(name, run) {
  if (!name.includes(args.only)) return;
  const page = await browser.open();
  const begun = performance.now();
  try {
    const said = await run(page);
    passed += 1;
    console.log(`ok      ${name}${said === undefined ? '' : `: ${said}`} (${((performance.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}: ${error.stack}`);
    await page.shot(`${args.out}/failed-${name.replaceAll(/\W+/g, '-')}.png`).catch(() => {});
  }
  await browser.send('Target.closeTarget', { targetId: page.target }).catch(() => {});
}

async function all(stage, short) {
  await shop(stage.registry);
  const of = (what) => `${stage.name}: ${what}`;
  const views = short ? { sizes: [[1280, 800], [320, 640]], themes: ['light'] } : {};
  await step(of('all views, their look and reach'), async (page) => `${await look(page, stage, args.out, views)} pictures`);
  await step(of('search and filters stand in the address'), (page) => act.filters(page, stage));
  await step(of('maintenance and removal by mouse'), (page) => act.mouse(page, stage));
  await step(of('maintenance of a node'), (page) => act.nodeMaintenance(page, stage));
  await step(of('an instance of another agent'), (page) => act.foreign(page, stage));
  await step(of('without a mouse'), (page) => act.keyboard(page, stage));
  await step(of('changes appear without a reload'), (page) => live.changes(page, stage));
  await step(of('no text becomes a script'), (page) => guard.plants(page, stage));
}

const own = await embedded(args.portolan);
await all(own, args.short);
await step('a theme that is chosen stays', (page) => chooseTheme(page, own));
await own.stop();
await step('a registry that stops and returns', (page) => live.outage(page, args.portolan, args.out));
await step('tokens: none, one that reads, one that may all', (page) => guard.tokens(page, args.portolan, args.out));
if (!args.short) {
  const large = await embedded(args.portolan);
  await step('a thousand services', (page) => big(page, large));
  await large.stop();
}
if (args.consul) {
  const real = await consul(args.portolan, args.consul);
  await all(real, true);
  await real.stop();
}
await browser.close();
console.log(`${passed} passed, ${failed} failed`);
// What a failed step left open would keep it running; stage.mjs ends the processes.
process.exit(failed === 0 ? 0 : 1);
