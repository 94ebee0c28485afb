/*
 * What changed lately: who went critical, came, left, and when it was seen here.
 *
 * In:  the changes that the store computed from two summaries. Out: a list, the newest first.
 */
import { h, text, replace } from './dom.js';
import { store } from './store.js';
import { address } from './route.js';
import { shape } from './status.js';
import { searchField, setQuery } from './search.js';
import { clock, line, many, terms, found } from './words.js';

/* So many are drawn. */
const DRAWN = 200;

const TURNED = { passing: 'is passing', warning: 'went to warning', critical: 'went critical', maintenance: 'went into maintenance' };

/* What happened, in words. PURE. */
export function said(change) {
  if (change.kind === 'came') return change.to === 'unchecked' ? 'was registered, without a check' : `came, ${change.to}`;
  if (change.kind === 'left') return change.from === 'unchecked' ? 'left' : `left, it was ${change.from}`;
  return `${TURNED[change.to]}${change.to === 'passing' && change.from ? ' again' : ''}`;
}

function where(change) {
  if (change.id) return h('a', { href: address(['services', change.service, change.node, change.id]) }, change.id);
  if (change.service) return h('a', { href: address(['services', change.service]) }, change.service);
  return h('a', { href: address(['nodes', change.node]) }, change.node);
}

function row(change) {
  const why = change.to === 'critical' || change.to === 'warning' || change.to === 'maintenance' ? line(change.why?.Output || change.why?.Notes) : '';
  const of = change.id && change.id !== change.service ? h('span', { class: 'faint' }, ` of ${change.service}`) : change.id || change.service ? null : h('span', { class: 'faint' }, ' (node)');
  return h('li', { class: `change ${change.to ?? 'left'}` },
    h('time', { class: 'mono' }, clock(change.at)),
    change.to === null ? h('span', { class: 'shape gone', 'aria-hidden': 'true' }) : shape(change.to),
    h('span', { class: 'what' }, where(change), ' ', said(change), of, why === '' ? null : h('span', { class: 'why' }, why)));
}

const textOf = (change) => `${change.id ?? ''} ${change.service ?? ''} ${change.node ?? ''} ${said(change)}`.toLowerCase();

export function changes(query) {
  const state = { q: query.q ?? '' };
  const told = h('p', { class: 'told', role: 'status' });
  const list = h('ol', { class: 'change-list' });
  const empty = h('div', { class: 'empty' });
  const element = h('section', { class: 'view' },
    h('div', { class: 'title' }, h('h1', {}, 'Changes'), told),
    h('div', { class: 'filters' }, searchField('Search names and what happened', state.q, (value) => { state.q = value; setQuery(['changes'], { q: value }); update(); })),
    list, empty);

  function update() {
    if (store.since === null) {
      text(told, 'Reading…');
      return;
    }
    const words = terms(state.q);
    const shown = store.changes.filter((change) => found(words, textOf(change)));
    text(told, `${many(store.changesTotal, 'change')} since ${clock(store.since)}, when this page was opened`);
    replace(list, shown.slice(0, DRAWN).map(row));
    const none = store.changes.length === 0 ? 'Nothing has changed since. What changes is shown here as it happens.' : 'No change matches.';
    replace(empty, shown.length > 0 ? null : h('p', {}, none));
  }

  return { title: 'Changes', element, update };
}
