/*
 * Keys and values, to read.
 *
 * In:  a beginning of keys, or a key, from the address. Out: what is below it, as in folders; the value, as text where it is
 * one. Current, like all else.
 *
 * Never: changes a key; shows bytes as if they were text.
 */
import { h, text, replace } from './dom.js';
import { follow } from './live.js';
import { address } from './route.js';
import { facts } from './checks.js';
import { many } from './words.js';

/* So much of a value is drawn, and so many keys. */
const SHOWN = 100_000;
const DRAWN = 1000;

/* Bytes as text, or null where they are none. PURE. */
export function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64 ?? ''), (char) => char.charCodeAt(0));
  try {
    const value = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // eslint-disable-next-line no-control-regex
    return { size: bytes.length, text: /[\0-\x08\x0e-\x1f]/.test(value) ? null : value, bytes };
  } catch {
    return { size: bytes.length, text: null, bytes };
  }
}

const hex = (bytes) => [...bytes.slice(0, 512)].map((byte, at) => byte.toString(16).padStart(2, '0') + (at % 16 === 15 ? '\n' : ' ')).join('');

/* A text that is JSON in one line is easier to read in several. */
function pretty(value) {
  if (!/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    return value;
  }
}

const keyPath = (key) => `/v1/kv/${key.split('/').map(encodeURIComponent).join('/')}`;

function trail(prefix) {
  const parts = prefix.split('/').filter(Boolean);
  const links = parts.map((part, at) => [h('span', { 'aria-hidden': 'true' }, '›'), h('a', { href: address(['keys'], { prefix: `${parts.slice(0, at + 1).join('/')}/` }) }, part)]);
  return h('nav', { class: 'trail', 'aria-label': 'Where you are' }, h('a', { href: address(['keys']) }, 'Keys'), links);
}

function listOf(prefix) {
  const told = h('p', { class: 'told', role: 'status' }, 'Reading…');
  const body = h('div');
  const follower = follow(`${keyPath(prefix)}?keys&separator=%2F`, (value) => {
    const all = (value ?? []).filter((key) => key !== prefix);
    const folders = all.filter((key) => key.endsWith('/')).length;
    const counted = [folders > 0 ? many(folders, 'folder') : null, all.length > folders ? many(all.length - folders, 'key') : null].filter(Boolean);
    text(told, counted.join(', ') || 'No keys');
    const row = (key) => {
      const folder = key.endsWith('/');
      const href = folder ? address(['keys'], { prefix: key }) : address(['keys'], { key });
      return h('li', {}, h('a', { href, class: folder ? 'folder' : 'key' }, key.slice(prefix.length)));
    };
    const more = all.length > DRAWN ? h('p', { class: 'faint' }, `The first ${DRAWN}.`) : null;
    const none = h('p', {}, prefix === '' ? 'There are no keys. This view is for reading; a key is written by ' : 'There is nothing below this.', prefix === '' ? h('code', {}, 'consul kv put KEY VALUE') : null);
    replace(body, all.length === 0 ? h('div', { class: 'empty' }, none) : h('ul', { class: 'key-list' }, all.slice(0, DRAWN).map(row)), more);
  }, { missing: true });
  const title = prefix === '' ? 'Keys' : prefix;
  const element = h('section', { class: 'view' }, prefix === '' ? null : trail(prefix.slice(0, prefix.slice(0, -1).lastIndexOf('/') + 1)), h('div', { class: 'title' }, h('h1', {}, title), told), body);
  return { title, element, end: () => follower.stop() };
}

function valueOf(key) {
  const told = h('p', { class: 'told' }, 'Reading…');
  const body = h('div', { class: 'detail' });
  const follower = follow(keyPath(key), (value) => {
    const row = value?.[0];
    if (row === undefined) {
      replace(told);
      replace(body, h('p', { class: 'gone' }, 'There is no such key.'));
      return;
    }
    const found = decoded(row.Value);
    text(told, many(found.size, 'byte'));
    const long = found.text !== null && found.text.length > SHOWN;
    const shown = found.text === null ? hex(found.bytes) : pretty(found.text.slice(0, SHOWN));
    replace(body,
      found.size === 0 ? h('p', { class: 'faint' }, 'The value is empty.') : h('pre', { class: 'output value', tabindex: '0', role: 'region', 'aria-label': 'Value' }, shown),
      found.text === null && found.size > 0 ? h('p', { class: 'faint' }, `Bytes, not text${found.size > 512 ? ': the first 512' : ''}.`) : null,
      long ? h('p', { class: 'faint' }, `The first ${SHOWN} characters.`) : null,
      facts([['Flags', row.Flags], ['Session', row.Session], ['Taken', row.LockIndex > 0 ? many(row.LockIndex, 'time') : null], ['Create index', row.CreateIndex], ['Modify index', row.ModifyIndex]]));
  }, { missing: true });
  const element = h('section', { class: 'view' }, trail(key.slice(0, key.lastIndexOf('/') + 1)), h('div', { class: 'title' }, h('h1', {}, key.slice(key.lastIndexOf('/') + 1)), told), body);
  return { title: key, element, end: () => follower.stop() };
}

export function keys(query) {
  return query.key ? valueOf(query.key) : listOf(query.prefix ?? '');
}
