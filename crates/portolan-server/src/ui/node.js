/*
 * One node: its checks, its meta, the instances on it.
 *
 * In:  `/v1/health/node/NAME`, and `/v1/catalog/node/NAME` beside it. Out: what the registry holds of it.
 */
import { h, text, slot } from './dom.js';
import { follow } from './live.js';
import { store } from './store.js';
import { address } from './route.js';
import { overall } from './health.js';
import { badge } from './status.js';
import { checkList, facts, metaTable } from './checks.js';
import { nodeActions } from './act.js';
import { authority, byName, many, path } from './words.js';

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
  const [own, facts_, actions, list, meta] = [h('div'), h('div'), h('div'), h('div'), h('div')];
  const body = h('div', { class: 'detail', hidden: true },
    h('div', { class: 'columns' },
      h('div', {}, h('h2', {}, 'Checks of the node'), own),
      h('div', {}, h('h2', {}, 'About'), facts_, actions)),
    h('h2', {}, 'Instances'), list,
    h('h2', {}, 'Meta'), meta);
  const gone = h('p', { class: 'gone', hidden: true }, 'This node is not in the catalogue.');
  const element = h('section', { class: 'view' },
    h('nav', { class: 'trail', 'aria-label': 'Where you are' }, h('a', { href: '#/nodes' }, 'Nodes'), h('span', { 'aria-hidden': 'true' }, '›')),
    h('div', { class: 'title' }, h('h1', {}, name), told),
    gone, body);
  const set = { told: slot(told), own: slot(own), facts: slot(facts_), actions: slot(actions), list: slot(list), meta: slot(meta) };

  function instances() {
    const all = Object.values(about.Services ?? {}).sort((one, other) => byName(one.Service, other.Service) || byName(one.ID, other.ID));
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
    const there = Boolean(about?.Node);
    body.hidden = !there;
    gone.hidden = there;
    if (!there) {
      set.told(null, () => null);
      return;
    }
    const ofNode = checks.filter((check) => !check.ServiceID);
    const count = Object.keys(about.Services ?? {}).length;
    const status = ofNode.length === 0 ? 'unchecked' : overall(ofNode);
    set.told([status, count], () => [badge(status), ` ${many(count, 'instance')}`]);
    set.own(ofNode, () => (ofNode.length === 0 ? h('p', { class: 'faint' }, 'It has none.') : checkList(ofNode)));
    const { Address, Datacenter, ID, Meta } = about.Node;
    const mono = (value) => h('span', { class: 'mono' }, value ?? '');
    set.facts([Address, Datacenter, ID], () => facts([['Address', mono(Address)], ['Datacenter', Datacenter], ['Id', mono(ID)]]));
    set.actions([store.agent, ofNode.map((check) => check.CheckID)], () => nodeActions(name, ofNode, store.agent));
    set.list([about.Services, checks.map((check) => [check.CheckID, check.ServiceID, check.Status])], instances);
    set.meta(Meta, () => metaTable(Meta));
  }

  return { title: name, element, update, end: () => followers.forEach((one) => one.stop()) };
}
