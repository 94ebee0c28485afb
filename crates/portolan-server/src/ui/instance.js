/*
 * One instance: checks with their output, meta, version, zone; maintenance and removal.
 *
 * In:  a service, a node and an id. Out: all that the registry holds of it, current.
 */
import { h, text, slot } from './dom.js';
import { store } from './store.js';
import { address } from './route.js';
import { key } from './health.js';
import { badge } from './status.js';
import { checkList, facts, metaTable } from './checks.js';
import { instanceActions } from './act.js';
import { useService } from './service-data.js';
import { authority } from './words.js';

function tagged(addresses) {
  const pairs = Object.entries(addresses ?? {});
  return pairs.length === 0 ? null : pairs.map(([name, one]) => `${name} ${authority(one.Address, one.Port)}`).join(', ');
}

function aboutOf(one) {
  const { service, nodeInfo } = one;
  const weights = service.Weights ? `${service.Weights.Passing} passing, ${service.Weights.Warning} warning` : null;
  const version = one.version === null ? null : one.version.version === null ? `${one.version.text} (not a semantic version)` : one.version.text;
  return facts([
    ['Address', h('span', { class: 'mono' }, one.address)],
    ['Version', version],
    ['Zone', one.zone],
    ['Node', h('a', { href: address(['nodes', one.node]) }, one.node)],
    ['Datacenter', nodeInfo.Datacenter],
    ['Tags', one.tags.length === 0 ? null : h('span', { class: 'tags' }, one.tags.map((tag) => h('span', { class: 'tag' }, tag)))],
    ['Weights', weights],
    ['Kind', service.Kind],
    ['Tagged addresses', tagged(service.TaggedAddresses)],
    ['Create index', service.CreateIndex],
    ['Modify index', service.ModifyIndex],
  ]);
}

export function instance(name, node, id) {
  const data = useService(name, update);
  const told = h('p', { class: 'told' });
  const [checks, about, actions, meta] = [h('div'), h('div'), h('div'), h('div')];
  const body = h('div', { class: 'detail', hidden: true },
    h('div', { class: 'columns' },
      h('div', {}, h('h2', {}, 'Checks'), checks),
      h('div', {}, h('h2', {}, 'About'), about, h('h2', {}, 'Actions'), actions)),
    h('h2', {}, 'Meta'), meta);
  const gone = h('div', { hidden: true }, h('p', { class: 'gone' }, 'This instance is not registered any more.'), h('p', {}, h('a', { href: address(['services', name]) }, `The instances of ${name}`)));
  const element = h('section', { class: 'view' },
    h('nav', { class: 'trail', 'aria-label': 'Where you are' },
      h('a', { href: '#/services' }, 'Services'), h('span', { 'aria-hidden': 'true' }, '›'),
      h('a', { href: address(['services', name]) }, name), h('span', { 'aria-hidden': 'true' }, '›')),
    h('div', { class: 'title' }, h('h1', {}, id), told),
    gone, body);
  const set = { told: slot(told), checks: slot(checks), about: slot(about), actions: slot(actions), meta: slot(meta) };

  function update() {
    if (data.instances === null) {
      text(told, 'Reading…');
      return;
    }
    const one = data.instances.find((other) => other.key === key(node, id));
    body.hidden = one === undefined;
    gone.hidden = one !== undefined;
    set.told(one?.status ?? null, () => (one === undefined ? null : badge(one.status)));
    if (one === undefined) return;
    set.checks(one.checks, () => checkList(one.checks));
    set.about([one.service, one.nodeInfo], () => aboutOf(one));
    // What can be done hangs on the agent that is asked, and on whether it is in maintenance.
    set.actions([store.agent, one.checks.map((check) => check.CheckID)], () => instanceActions(node, id, one.checks, store.agent));
    set.meta(one.meta, () => metaTable(one.meta));
  }

  return { title: `${id} · ${name}`, element, update, end: data.end };
}
