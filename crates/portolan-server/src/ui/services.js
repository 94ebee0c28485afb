/*
 * All services, their health at a glance.
 *
 * In:  the shared summary; search, statuses and order from the address. Out: a list.
 */
import { h, text, replace } from './dom.js';
import { followed } from './live.js';
import { store } from './store.js';
import { address } from './route.js';
import { STATUSES } from './health.js';
import { badge, bar, chips } from './status.js';
import { windowed } from './list.js';
import { searchField, setQuery, toggled, listed } from './search.js';
import { count, many, terms, found } from './words.js';

const ALL = [...STATUSES, 'unchecked'];
const WORST = ['critical', 'warning', 'unchecked', 'maintenance', 'passing'];

const ORDERS = {
  name: () => 0,
  health: (one, other) => WORST.indexOf(one.status) - WORST.indexOf(other.status) || other.counts.critical - one.counts.critical,
  size: (one, other) => other.known - one.known,
};

function cells(one) {
  const tags = one.tags.slice(0, 4).map((tag) => h('span', { class: 'tag' }, tag));
  if (one.tags.length > 4) tags.push(h('span', { class: 'tag more' }, `+${one.tags.length - 4}`));
  const numbers = one.known === 0 ? h('span', { class: 'faint' }, '–') : [h('strong', {}, count(one.counts.passing)), h('span', { class: 'of' }, ` of ${count(one.known)} passing`)];
  return [h('a', { href: address(['services', one.name]), tabindex: '-1' }, one.name), badge(one.status), [bar(one.counts), h('span', { class: 'numbers' }, numbers)], h('span', { class: 'tags' }, tags)];
}

export function services(query) {
  const state = { q: query.q ?? '', status: listed(query.status), sort: query.sort in ORDERS ? query.sort : 'health' };
  const list = windowed({
    label: 'Services',
    name: 'services',
    columns: [{ title: 'Service', class: 'name' }, { title: 'Health', class: 'status' }, { title: 'Instances with checks', class: 'counts' }, { title: 'Tags', class: 'labels' }],
    row: cells,
    id: (one) => one.name,
    mark: (one) => `${one.status} ${Object.values(one.counts).join(' ')}`,
  });
  const told = h('p', { class: 'told', role: 'status' });
  const empty = h('div', { class: 'empty' });
  const buttons = h('div', { class: 'chips', role: 'group', 'aria-label': 'Only these' });
  const order = h('select', { 'aria-label': 'Order', on: { change: (event) => { state.sort = event.target.value; changed(); } } },
    Object.entries({ health: 'Worst first', name: 'By name', size: 'Largest first' }).map(([value, label]) => h('option', { value, selected: value === state.sort }, label)));
  const element = h('section', { class: 'view' },
    h('div', { class: 'title' }, h('h1', {}, 'Services'), told),
    h('div', { class: 'filters' }, searchField('Search names and tags', state.q, (value) => { state.q = value; changed(); }), buttons, order),
    list.element, empty);

  function changed() {
    setQuery(['services'], { q: state.q, status: state.status.join(','), sort: state.sort === 'health' ? '' : state.sort });
    update();
  }

  function update() {
    if (store.summary === null) {
      text(told, 'Reading…');
      return;
    }
    const words = terms(state.q);
    const matching = [...store.summary.services.values()].filter((one) => found(words, one.text));
    const counts = Object.fromEntries(ALL.map((status) => [status, matching.filter((one) => one.status === status).length]));
    const focused = buttons.contains(document.activeElement) ? document.activeElement.dataset.status : null;
    replace(buttons, chips(ALL, state.status, counts, (status) => { state.status = toggled(state.status, status); changed(); }));
    if (focused !== null) buttons.querySelector(`[data-status="${focused}"]`)?.focus();
    const shown = matching.filter((one) => state.status.length === 0 || state.status.includes(one.status)).sort(ORDERS[state.sort]);
    list.set(shown);
    const all = store.summary.services.size;
    text(told, shown.length === all ? `${many(all, 'service')}, ${many(store.summary.instances.size, 'instance')} with checks` : `${count(shown.length)} of ${many(all, 'service')}`);
    replace(empty, shown.length > 0 ? null : nothing(all));
  }

  function nothing(all) {
    if (all > 0) return h('p', {}, 'No service matches. ', h('button', { type: 'button', class: 'link', on: { click: clear } }, 'Show all'));
    if (followed().some((one) => one.nameless || one.hidden)) return h('p', {}, 'There is no service that can be seen without more rights.');
    return [h('p', {}, 'No service is registered yet. From a shell:'), h('pre', { class: 'code', tabindex: '0' }, 'portolan register web --port 8080 --check tcp')];
  }

  function clear() {
    Object.assign(state, { q: '', status: [] });
    element.querySelector('#search').value = '';
    changed();
  }

  return { title: 'Services', element, update, end: list.end };
}
