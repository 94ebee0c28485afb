/*
 * One node: its checks, its meta, the instances on it.
 *
 * In:  `/v1/health/node/NAME`, and `/v1/catalog/node/NAME` beside it. Out: what the registry holds of it.
 */
import { h, text, replace } from './dom.js';
import { follow } from './live.js';
import { store } from './store.js';
import { address } from './route.js';
import { overall } from './health.js';
import { badge } from './status.js';
import { checkList, facts, metaTable } from './checks.js';
import { nodeActions } from './act.js';
import { authority, many, path } from './words.js';

/* So many instances are drawn; a node with more is better searched by service. */
const MOST = 500;

export function node(name) {
  let about;
  let checks = null;
  const followers = [
    follow(path('catalog', 'node', name), (value) => { about = value ?? null; update(); }),
    follow(path('health', 'node', name), (value) => { checks = value ?? []; update(); }),
  ];
  const told = h('p', { class: 'told' });
  const body = h('div', { class: 'detail' });
  const element = h('section', { class: 'view' },
    h('nav', { class: 'trail', 'aria-label': 'Where you are' }, h('a', { href: '#/nodes' }, 'Nodes'), h('span', { 'aria-hidden': 'true' }, '›')),
    h('div', { class: 'title' }, h('h1', {}, name), told),
    body);
  let shown;

  function instances() {
    const all = Object.values(about.Services ?? {}).sort((one, other) => one.Service.localeCompare(other.Service) || one.ID.localeCompare(other.ID, 'en', { numeric: true }));
    if (all.length === 0) return h('p', { class: 'faint' }, 'None.');
    const own = checks.filter((check) => !check.ServiceID);
    const statusOf = (id) => overall([...own, ...checks.filter((check) => check.ServiceID === id)]);
    const rows = all.slice(0, MOST).map((one) => h('tr', {},
      h('th', { scope: 'row' }, h('a', { href: address(['services', one.Service, name, one.ID]) }, one.ID)),
      h('td', {}, h('a', { href: address(['services', one.Service]) }, one.Service)),
      h('td', {}, badge(statusOf(one.ID))),
      h('td', { class: 'mono' }, authority(one.Address || about.Node.Address, one.Port))));
    return [
      h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'Instances' },
        h('table', {}, h('thead', {}, h('tr', {}, ['Instance', 'Service', 'Health', 'Address'].map((title) => h('th', { scope: 'col' }, title)))), h('tbody', {}, rows))),
      all.length > MOST ? h('p', { class: 'faint' }, `The first ${MOST} of ${all.length}; the others are found by their service.`) : null,
    ];
  }

  function update() {
    if (about === undefined || checks === null) {
      text(told, 'Reading…');
      return;
    }
    const now = JSON.stringify([about, checks, store.agent]);
    if (now === shown) return;
    shown = now;
    if (about === null || !about.Node) {
      replace(told);
      replace(body, h('p', { class: 'gone' }, 'This node is not in the catalogue.'));
      return;
    }
    const own = checks.filter((check) => !check.ServiceID);
    const services = Object.keys(about.Services ?? {}).length;
    replace(told, badge(own.length === 0 ? 'unchecked' : overall(own)), ` ${many(services, 'instance')}`);
    replace(body,
      h('div', { class: 'columns' },
        h('div', {}, h('h2', {}, 'Checks of the node'), own.length === 0 ? h('p', { class: 'faint' }, 'It has none.') : checkList(own)),
        h('div', {}, h('h2', {}, 'About'),
          facts([['Address', h('span', { class: 'mono' }, about.Node.Address)], ['Datacenter', about.Node.Datacenter], ['Id', h('span', { class: 'mono' }, about.Node.ID ?? '')]]),
          nodeActions(name, own, store.agent))),
      h('h2', {}, 'Instances'), instances(),
      h('h2', {}, 'Meta'), metaTable(about.Node.Meta));
  }

  return { title: name, element, update, end: () => followers.forEach((one) => one.stop()) };
}
