/*
 * Where in the page one is: the part of the address behind `#`. PURE.
 *
 * In:  `#/services/web?q=blue`. Out: `{ parts: ['services', 'web'], query: { q: 'blue' } }`, and back.
 *
 * Never: fails on an address that somebody typed.
 */

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function parse(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const parts = path.split('/').filter(Boolean).map(plain);
  return { parts, query: Object.fromEntries(new URLSearchParams(search)) };
}

/* The address of a place; empty values of the query are left out. */
export function address(parts, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  const search = new URLSearchParams(pairs).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`;
}
