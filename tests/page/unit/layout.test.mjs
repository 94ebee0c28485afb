/* Places in the drawing, circles, rests, addresses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { load } from './load.mjs';

const { BOX, circles, layout } = await load('layout');
const { afterAnswer, afterFailure, nextIndex } = await load('pace');
const { address, parse } = await load('route');

const arrows = (text) => text.split(' ').filter(Boolean).map((one) => ({ from: one[0], to: one[1] }));
const names = (all) => [...new Set(all.flatMap((one) => [one.from, one.to]))];

test('circles are found, and nothing else', () => {
  for (const [text, expected] of [['ab bc', []], ['ab ba', ['ab']], ['ab bc ca cd de ed', ['abc', 'de']], ['aa ab', ['a']], ['ab bd ac cd', []]]) {
    const all = arrows(text);
    assert.deepEqual(circles(names(all), all).map((one) => one.join('')).sort(), expected, text);
  }
});

test('who needs stands left of what is needed, and no box on another', () => {
  let seed = 7;
  const roll = (below) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  for (let run = 0; run < 200; run += 1) {
    const letters = 'abcdefghijklmnop'.slice(0, 2 + roll(14));
    const all = Array.from({ length: 1 + roll(30) }, () => ({ from: letters[roll(letters.length)], to: letters[roll(letters.length)] }));
    const found = layout(names(all), all);
    const rings = circles(names(all), all);
    for (const { from, to } of all) {
      const ring = rings.some((one) => one.includes(from) && one.includes(to));
      assert.ok(ring || found.boxes.get(from).x < found.boxes.get(to).x, `${from}${to} of ${all.map((one) => one.from + one.to).join(' ')}`);
    }
    const boxes = [...found.boxes.values()];
    for (const one of boxes) {
      assert.ok(one.y - BOX.height / 2 >= -1 && one.y + BOX.height / 2 <= found.height + 1 && one.x + BOX.width / 2 <= found.width, 'within the drawing');
      for (const other of boxes) assert.ok(one === other || one.x !== other.x || Math.abs(one.y - other.y) >= BOX.height, 'no box on another');
    }
    const drawn = found.lines.map(({ arrow }) => `${arrow.from}${arrow.to}`).sort();
    assert.deepEqual(drawn, all.filter((one) => one.from !== one.to).map((one) => one.from + one.to).sort());
  }
});

test('an index that goes back starts over, and rests have bounds', () => {
  for (const [had, got, next] of [[0, 5, 5], [5, 5, 5], [5, 9, 9], [5, 4, 0], [5, 0, 1], [0, 0, 0], [5, NaN, 1]]) assert.equal(nextIndex(had, got), next, `${had} ${got}`);
  assert.deepEqual([afterAnswer(0), afterAnswer(100), afterAnswer(60_000)], [200, 500, 15_000]);
  for (let failures = 0; failures < 40; failures += 1) {
    for (const chance of [0, 0.5, 1]) assert.ok(afterFailure(failures, chance) >= 250 && afterFailure(failures, chance) <= 15_000);
  }
});

test('an address says what was said', () => {
  for (const parts of [['services'], ['services', 'a/b?c#d %41', 'n', '<img>'], ['keys']]) {
    const query = { q: 'a&b=c #d/ü', status: 'critical,warning' };
    assert.deepEqual(parse(address(parts, query)), { parts, query });
  }
  assert.equal(address(['services'], { q: '', status: null }), '#/services');
  assert.deepEqual(parse('#/services/%zz?%zz'), { parts: ['services', '%zz'], query: { '%zz': '' } });
  assert.deepEqual(parse(''), { parts: [], query: {} });
});
