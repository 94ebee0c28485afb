/*
 * All nodes: health, address, how many instances.
 *
 * In:  `/v1/catalog/nodes` and the shared summary. Out: a list.
 */
import { h, text, replace } from './dom.js';
import { follow } from './live.js';
import { store } from './store.js';
import { address } from './route.js';
import { badge } from './status.js';
import { windowed } from './list.js';
import { searchField, setQuery } from './search.js';
import { byName, count, many, terms, found } from './words.js';

function cells(one) {
  return [
    h('a', { href: address(['nodes', one.name]), tabindex: '-1' }, one.name),
    badge(one.status),
    h('span', { class: 'mono' }, one.address),
    h('span', {}, one.instances === 0 ? h('span', { class: 'faint' }, '–') : [h('strong', {}, count(one.instances)), h('span', { class: 'of' }, one.instances === 1 ? ' instance' : ' instances')]),
    h('span', { class: 'tags' }, one.own ? h('span', { class: 'tag' }, 'asked here') : null),
  ];
}

export function nodes(query) {
  const state = { q: query.q ?? '' };
  let listed = null;
  const follower = follow('/v1/catalog/nodes', (value) => {
    listed = value ?? [];
    update();
  });
  const list = windowed({
    label: 'Nodes',
    name: 'nodes',
    columns: [{ title: 'Node', class: 'name' }, { title: 'Health', class: 'status' }, { title: 'Address', class: 'address' }, { title: 'Instances with checks', class: 'counts' }, { title: '', class: 'labels' }],
    row: cells,
    id: (one) => one.name,
    mark: (one) => one.status,
  });
  const told = h('p', { class: 'told', role: 'status' });
  const empty = h('div', { class: 'empty' });
  const element = h('section', { class: 'view' },
    h('div', { class: 'title' }, h('h1', {}, 'Nodes'), told),
    h('div', { class: 'filters' }, searchField('Search names, addresses, meta', state.q, (value) => { state.q = value; setQuery(['nodes'], { q: value }); update(); })),
    list.element, empty);

  function update() {
    if (listed === null || store.summary === null) {
      text(told, 'Reading…');
      return;
    }
    const words = terms(state.q);
    const all = listed.map((node) => {
      const known = store.summary.nodes.get(node.Node);
      const pairs = Object.entries(node.Meta ?? {}).map(([name, value]) => `${name}=${value}`);
      return {
        name: node.Node,
        address: node.Address,
        status: known?.checked ? known.status : 'unchecked',
        instances: known?.instances ?? 0,
        own: store.agent?.node === node.Node,
        text: [node.Node, node.Address, ...pairs].join(' ').toLowerCase(),
      };
    });
    const shown = all.filter((one) => found(words, one.text)).sort((one, other) => byName(one.name, other.name));
    list.set(shown);
    text(told, shown.length === all.length ? many(all.length, 'node') : `${count(shown.length)} of ${many(all.length, 'node')}`);
    replace(empty, shown.length > 0 ? null : h('p', {}, all.length > 0 ? 'No node matches.' : 'There is no node.'));
  }

  return { title: 'Nodes', element, update, end() { follower.stop(); list.end(); } };
}
