/*
 * A status as a shape, a word and a colour: none of them alone. And how the instances of a service share into them.
 *
 * In:  a status. Out: elements.
 */
import { h, s } from './dom.js';
import { count } from './words.js';
import { STATUSES } from './health.js';

export const WORDS = {
  passing: 'Passing',
  warning: 'Warning',
  critical: 'Critical',
  maintenance: 'Maintenance',
  unchecked: 'No checks',
};

/* Each has an outline of its own: a disc, a triangle, an octagon, a square, a ring. */
const SHAPES = {
  passing: () => [s('circle', { cx: 8, cy: 8, r: 7, class: 'body' }), s('path', { d: 'M4.8 8.3 7 10.4l4.2-4.6', class: 'mark' })],
  warning: () => [s('path', { d: 'M8 1.3 15.2 14H.8z', class: 'body' }), s('path', { d: 'M8 6v3.6M8 11.6v.4', class: 'mark' })],
  critical: () => [
    s('path', { d: 'M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z', class: 'body' }),
    s('path', { d: 'm5.6 5.6 4.8 4.8m0-4.8-4.8 4.8', class: 'mark' }),
  ],
  maintenance: () => [s('rect', { x: 1.5, y: 1.5, width: 13, height: 13, rx: 2.5, class: 'body' }), s('path', { d: 'M6.2 5v6M9.8 5v6', class: 'mark' })],
  unchecked: () => [s('circle', { cx: 8, cy: 8, r: 6, class: 'ring' })],
};

/* The shape alone, for where the word stands beside it. */
export const shape = (status) => s('svg', { class: `shape ${status}`, viewBox: '0 0 16 16', width: 16, height: 16, 'aria-hidden': 'true' }, SHAPES[status]());

/* Shape and word. */
export const badge = (status) => h('span', { class: `badge ${status}` }, shape(status), h('span', {}, WORDS[status]));

/* How instances share into statuses, as a bar; the words are for those who do not see it. */
export function bar(counts) {
  const there = STATUSES.filter((status) => counts[status] > 0);
  const words = there.map((status) => `${count(counts[status])} ${status}`).join(', ');
  const element = h('span', { class: 'share', role: 'img', 'aria-label': words || 'no checks' });
  for (const status of there) {
    const part = h('span', { class: status });
    part.style.flexGrow = String(counts[status]);
    element.append(part);
  }
  return element;
}

/* Buttons that choose statuses; `chosen` is a list, `counts` how many there are of each. */
export function chips(statuses, chosen, counts, onToggle) {
  return statuses.map((status) =>
    h(
      'button',
      { type: 'button', class: 'chip', 'aria-pressed': String(chosen.includes(status)), 'data-status': status, title: WORDS[status], on: { click: () => onToggle(status) } },
      shape(status),
      h('span', {}, WORDS[status]),
      h('span', { class: 'number' }, count(counts[status] ?? 0)),
    ),
  );
}
