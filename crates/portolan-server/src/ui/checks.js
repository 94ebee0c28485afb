/*
 * Checks with their output, and pairs of names and values: what an instance and a node have in common.
 *
 * In:  what the registry holds. Out: elements.
 */
import { h } from './dom.js';
import { badge } from './status.js';
import { statusOf, STATUSES } from './health.js';

function one(check) {
  const status = statusOf(check);
  const output = (check.Output ?? '').trim();
  const notes = (check.Notes ?? '').trim();
  const facts = [check.CheckID, check.Type, check.ServiceID ? null : 'of the node', check.Interval && `each ${check.Interval}`, check.Timeout && `at most ${check.Timeout}`];
  return h('li', { class: `check ${status}` },
    h('div', { class: 'line' }, badge(status), h('strong', {}, check.Name || check.CheckID), h('span', { class: 'faint' }, facts.filter(Boolean).join(' · '))),
    notes === '' ? null : h('p', { class: 'notes' }, notes),
    output === '' ? null : h('pre', { class: 'output', tabindex: '0', role: 'region', 'aria-label': `Output of ${check.Name || check.CheckID}` }, output));
}

/* Checks, the worst first. */
export function checkList(checks) {
  if (checks.length === 0) return h('p', { class: 'faint' }, 'It has no check, so the registry takes it for healthy.');
  const worst = (check) => -STATUSES.indexOf(statusOf(check));
  return h('ul', { class: 'check-list' }, [...checks].sort((a, b) => worst(a) - worst(b) || a.CheckID.localeCompare(b.CheckID)).map(one));
}

/* Facts: `[name, value]`; those without a value are left out. */
export function facts(pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== '');
  return h('dl', { class: 'facts' }, there.map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

/* Meta as a table. */
export function metaTable(meta) {
  const pairs = Object.entries(meta ?? {}).sort(([one], [other]) => one.localeCompare(other));
  if (pairs.length === 0) return h('p', { class: 'faint' }, 'None.');
  return h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Meta' },
    h('table', {}, h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Key'), h('th', { scope: 'col' }, 'Value'))),
      h('tbody', {}, pairs.map(([name, value]) => h('tr', {}, h('th', { scope: 'row' }, name), h('td', {}, value))))));
}
