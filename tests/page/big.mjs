/*
 * A thousand services with ten thousand instances: how long the first view takes, and whether the list scrolls.
 *
 * The figures are printed, not asserted: they are this machine's. What is asserted is what makes them good: two requests for
 * the first view, and few rows in the page.
 */
import assert from 'node:assert/strict';

import { many } from './seed.mjs';

export async function big(page, stage, { services = 1000, instances = 10 } = {}) {
  await many(stage.registry, services, instances);
  await page.size(1280, 800, 'light');
  const times = [];
  for (let run = 0; run < 5; run += 1) {
    await page.goto('about:blank');
    page.asked = [];
    await page.goto(`${stage.page}#/services`);
    // From the beginning of the navigation to the first frame with rows in it, by the page's own clock.
    times.push(await page.run(`new Promise((resolve) => { const look = () => { if (document.querySelector('.rows .row') === null) requestAnimationFrame(look); else requestAnimationFrame(() => resolve(performance.now())); }; look(); })`));
    const asked = page.asked.filter((url) => url.includes('/v1/')).map((url) => new URL(url).pathname);
    assert.deepEqual([...new Set(asked)].sort(), ['/v1/agent/self', '/v1/catalog/services', '/v1/health/state/any'], 'what the first view asks');
  }
  const scrolled = await page.run(`new Promise((resolve) => {
    const frames = [];
    let before = performance.now();
    let most = 0;
    const step = (now) => {
      frames.push(now - before);
      before = now;
      most = Math.max(most, document.querySelectorAll('.rows .row').length);
      scrollBy(0, 400);
      if (scrollY + innerHeight < document.documentElement.scrollHeight - 1 && frames.length < 600) requestAnimationFrame(step);
      else resolve({ frames: frames.length, slow: frames.filter((one) => one > 34).length, worst: Math.max(...frames), most, last: document.querySelector('.rows').lastElementChild.innerText });
    };
    requestAnimationFrame(step);
  })`);
  assert.ok(scrolled.most < 60, `${scrolled.most} rows in the page at once`);
  const shown = times.map((one) => Math.round(one)).sort((one, other) => one - other);
  console.log(`  ${services} services, ${services * instances} instances: first view after ${shown[2]} ms (median of 5: ${shown.join(', ')})`);
  console.log(`  scrolled through in ${scrolled.frames} frames, ${scrolled.slow} over 34 ms, the longest ${Math.round(scrolled.worst)} ms; at most ${scrolled.most} rows in the page`);
  assert.deepEqual(page.takeErrors(), []);
}
