/*
 * One service: its instances, with health, place and version.
 *
 * In:  a name; search and statuses from the address. Out: a list, each row leads to the instance.
 */
import { h, text, replace } from './dom.js';
import { store } from './store.js';
import { address } from './route.js';
import { STATUSES, ofService } from './health.js';
import { badge, bar, chips } from './status.js';
import { windowed } from './list.js';
import { searchField, setQuery, toggled, listed } from './search.js';
import { useService } from './service-data.js';
import { count, many, terms, found } from './words.js';

function cells(one, service) {
  const own = one.checks.filter((check) => check.ServiceID).length;
  const failing = one.checks.filter((check) => check.Status !== 'passing').length;
  const checks = failing > 0 ? `${failing} of ${one.checks.length} not passing` : own === 0 ? 'no check of its own' : many(one.checks.length, 'check');
  return [
    h('a', { href: address(['services', service, one.node, one.id]), tabindex: '-1' }, one.id),
    badge(one.status),
    h('span', { class: 'mono' }, one.address),
    h('span', {}, one.version === null ? h('span', { class: 'faint' }, '–') : one.version.text),
    h('span', {}, one.zone === '' ? h('span', { class: 'faint' }, '–') : one.zone),
    h('span', {}, one.node),
    h('span', { class: failing > 0 ? '' : 'faint' }, checks),
  ];
}

export function service(name, query) {
  const state = { q: query.q ?? '', status: listed(query.status) };
  const data = useService(name, update);
  const list = windowed({
    label: `Instances of ${name}`,
    name: 'instances',
    columns: [
      { title: 'Instance', class: 'name' },
      { title: 'Health', class: 'status' },
      { title: 'Address', class: 'address' },
      { title: 'Version', class: 'version' },
      { title: 'Zone', class: 'zone' },
      { title: 'Node', class: 'node' },
      { title: 'Checks', class: 'checks' },
    ],
    row: (one) => cells(one, name),
    id: (one) => one.key,
    mark: (one) => one.status,
  });
  const told = h('p', { class: 'told', role: 'status' });
  const health = h('div', { class: 'overview' });
  const empty = h('div', { class: 'empty' });
  const buttons = h('div', { class: 'chips', role: 'group', 'aria-label': 'Only these' });
  const element = h('section', { class: 'view' },
    h('nav', { class: 'trail', 'aria-label': 'Where you are' }, h('a', { href: '#/services' }, 'Services'), h('span', { 'aria-hidden': 'true' }, '›')),
    h('div', { class: 'title' }, h('h1', {}, name), told),
    health,
    h('div', { class: 'filters' }, searchField('Search ids, nodes, tags, meta', state.q, (value) => { state.q = value; changed(); }), buttons),
    list.element, empty);

  function changed() {
    setQuery(['services', name], { q: state.q, status: state.status.join(',') });
    update();
  }

  function overview(counts, all) {
    const tags = [...new Set(all.flatMap((one) => one.tags))].sort();
    const versions = [...new Set(all.map((one) => one.version?.text).filter(Boolean))].sort();
    return [
      badge(all.length === 0 ? 'unchecked' : ofService(counts, all.length)),
      bar(counts),
      versions.length > 0 ? h('span', {}, h('span', { class: 'faint' }, versions.length === 1 ? 'version ' : 'versions '), versions.slice(0, 5).join(', '), versions.length > 5 ? ` and ${versions.length - 5} more` : '') : null,
      tags.length > 0 ? h('span', { class: 'tags' }, tags.slice(0, 8).map((tag) => h('span', { class: 'tag' }, tag))) : null,
      h('a', { href: address(['graph'], { service: name }) }, 'Dependencies'),
    ];
  }

  function update() {
    const all = data.instances;
    if (all === null) {
      text(told, 'Reading…');
      return;
    }
    const words = terms(state.q);
    const matching = all.filter((one) => found(words, one.text));
    const countOf = (ones) => Object.fromEntries(STATUSES.map((status) => [status, ones.filter((one) => one.status === status).length]));
    const focused = buttons.contains(document.activeElement) ? document.activeElement.dataset.status : null;
    replace(buttons, chips(STATUSES, state.status, countOf(matching), (status) => { state.status = toggled(state.status, status); changed(); }));
    if (focused !== null) buttons.querySelector(`[data-status="${focused}"]`)?.focus();
    replace(health, overview(countOf(all), all));
    const shown = matching.filter((one) => state.status.length === 0 || state.status.includes(one.status));
    list.set(shown);
    text(told, shown.length === all.length ? many(all.length, 'instance') : `${count(shown.length)} of ${many(all.length, 'instance')}`);
    replace(empty, shown.length > 0 ? null : nothing(all.length));
  }

  function nothing(all) {
    if (all > 0) return h('p', {}, 'No instance matches. ', h('button', { type: 'button', class: 'link', on: { click: clear } }, 'Show all'));
    const hidden = store.summary?.services.has(name) ? 'It is in the catalogue, but no instance of it can be seen.' : 'No instance is registered.';
    return h('p', {}, hidden);
  }

  function clear() {
    Object.assign(state, { q: '', status: [] });
    element.querySelector('#search').value = '';
    changed();
  }

  return { title: name, element, update, end() { data.end(); list.end(); } };
}
