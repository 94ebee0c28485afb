/*
 * What can be done to an instance or a node: maintenance on and off, removal. Each is asked before it is done.
 *
 * In:  an instance, and which node the asked agent has. Out: buttons, or why there are none.
 *
 * Never: does anything without a confirmation; offers what another agent would have to do.
 */
import { h } from './dom.js';
import { write } from './api.js';
import { path } from './words.js';
import { confirm } from './dialog.js';

const inMaintenance = (checks, id) => checks.some((check) => check.CheckID === `_service_maintenance:${id}`);

function maintenance(id, state) {
  const on = state === 'on';
  const url = (reason) => `${path('agent', 'service', 'maintenance', id)}?enable=${on}${on ? `&reason=${encodeURIComponent(reason)}` : ''}`;
  confirm({
    title: on ? `Take ${id} out of service?` : `Take ${id} back into service?`,
    text: [on
      ? 'Callers stop choosing it. Its process and its checks go on, and nothing else changes until maintenance is ended.'
      : 'Callers choose it again as soon as its checks pass.'],
    verb: on ? 'Put into maintenance' : 'End maintenance',
    reason: on ? 'Reason, for whoever looks' : null,
    act: (reason) => write(url(reason)),
    done: on ? `${id} is in maintenance.` : `The maintenance of ${id} has ended.`,
  });
}

function deregister(id) {
  confirm({
    title: `Deregister ${id}?`,
    text: ['It is removed from the registry with its checks, and callers stop finding it. Its process goes on, and may register it again.'],
    verb: 'Deregister',
    danger: true,
    act: () => write(path('agent', 'service', 'deregister', id)),
    done: `${id} is deregistered.`,
  });
}

function removeFromCatalog(node, id) {
  confirm({
    title: `Remove ${id} from the catalogue?`,
    text: [
      `It is on the node ${node}, which this agent does not have, so it is removed past its agent.`,
      'Where that agent lives, it puts the instance back at its next sync: then deregister it there.',
    ],
    verb: 'Remove',
    danger: true,
    act: () => write('/v1/catalog/deregister', { Node: node, ServiceID: id }),
    done: `${id} is removed from the catalogue.`,
  });
}

/* What can be done to an instance. `agent`: `{ node }` of the asked one, or null where it is not known. */
export function instanceActions(node, id, checks, agent) {
  const button = (label, run, look = '') => h('button', { type: 'button', class: look, on: { click: run } }, label);
  if (agent !== null && agent.node !== node) {
    return h('div', { class: 'actions' },
      h('p', { class: 'note' }, `The agent that is asked here has the node ${agent.node}. Maintenance is set at the agent of ${node}.`),
      button('Remove from the catalogue…', () => removeFromCatalog(node, id), 'danger'));
  }
  const state = inMaintenance(checks, id) ? 'off' : 'on';
  return h('div', { class: 'actions' },
    button(state === 'on' ? 'Put into maintenance…' : 'End maintenance…', () => maintenance(id, state)),
    button('Deregister…', () => deregister(id), 'danger'));
}

/* What can be done to a node. */
export function nodeActions(node, checks, agent) {
  if (agent === null || agent.node !== node) return null;
  const on = !checks.some((check) => check.CheckID === '_node_maintenance');
  const act = (reason) => write(`/v1/agent/maintenance?enable=${on}${on ? `&reason=${encodeURIComponent(reason)}` : ''}`);
  const run = () => confirm({
    title: on ? `Take the node ${node} out of service?` : `Take the node ${node} back into service?`,
    text: [on ? 'Callers stop choosing every instance on it.' : 'Callers choose its instances again as soon as their checks pass.'],
    verb: on ? 'Put into maintenance' : 'End maintenance',
    danger: on,
    reason: on ? 'Reason, for whoever looks' : null,
    act,
    done: on ? `${node} is in maintenance.` : `The maintenance of ${node} has ended.`,
  });
  return h('div', { class: 'actions' }, h('button', { type: 'button', on: { click: run } }, on ? 'Put the node into maintenance…' : 'End the node’s maintenance…'));
}
