/*
 * A field to search in, and buttons to choose by: what they say stands in the address, so that it can be kept and sent on.
 *
 * In:  a place and its query. Out: the same with what was typed.
 */
import { h } from './dom.js';
import { address } from './route.js';

/* Replaces the query of the address without a new step back. */
export function setQuery(parts, query) {
  history.replaceState(null, '', address(parts, query));
}

/* The field; `onQuery` is called at each change. */
export function searchField(label, value, onQuery) {
  const field = h('input', { type: 'search', id: 'search', value, autocomplete: 'off', spellcheck: 'false', placeholder: label, 'aria-label': label, on: { input: (event) => onQuery(event.target.value) } });
  return h('div', { class: 'search' }, field, h('kbd', { 'aria-hidden': 'true' }, '/'));
}

/* `/` goes to the field, as on many pages. */
addEventListener('keydown', (event) => {
  const typing = event.target.closest?.('input, textarea, select, dialog') !== null;
  if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = document.getElementById('search');
  if (field === null) return;
  event.preventDefault();
  field.focus();
  field.select();
});

/* A list with one value more, or one less. */
export const toggled = (list, value) => (list.includes(value) ? list.filter((one) => one !== value) : [...list, value]);

/* `a,b` as a list. */
export const listed = (text) => (text ?? '').split(',').filter(Boolean);
